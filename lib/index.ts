export * from "./dlm";
