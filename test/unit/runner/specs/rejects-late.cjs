/* global it */
it("passes before the rejection comes", () => {
  setTimeout(() => Promise.reject(new Error("late")), 300);
});
