/* global it */
it("leaves a rejection behind", async () => {
  void Promise.reject(new Error("nobody cares"));
  await new Promise((resolve) => setTimeout(resolve, 50));
});
