/* global describe */
describe("nothing", () => undefined);
