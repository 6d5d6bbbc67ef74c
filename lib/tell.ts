/**
 * Calls what belongs to somebody else. What it throws becomes an uncaught exception of its own: it is not to keep
 * others from hearing, nor to end the watch.
 */
export function tell(listener: () => void): void {
  try {
    listener();
  } catch (error) {
    process.nextTick(() => {
      throw error;
    });
  }
}
