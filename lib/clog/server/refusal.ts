/** Goes back to the kernel instead of an answer, as an acknowledgement with an errno. */
export class Refusal {
  /** Positive. */
  readonly errno: number;

  constructor(errno: number) {
    this.errno = errno;
  }
}
