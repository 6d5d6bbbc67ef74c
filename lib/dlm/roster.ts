/** Who can stand in a roster: keeps its own place in it, and so in one roster only. */
export interface Rostered {
  place: number;
}

/** A set whose members know their place: no hashing, which a set of objects costs with each that comes and goes. */
export class Roster<Member extends Rostered> implements Iterable<Member> {
  readonly #members: Member[] = [];

  get size(): number {
    return this.#members.length;
  }

  add(member: Member): void {
    member.place = this.#members.length;
    this.#members.push(member);
  }

  /** Nothing happens when it is not there. */
  delete(member: Member): void {
    const { place } = member;
    if (this.#members[place] !== member) return;
    const last = this.#members.pop();
    if (last === undefined || last === member) return;
    this.#members[place] = last;
    last.place = place;
  }

  clear(): void {
    this.#members.length = 0;
  }

  /** Those who are in it now, whoever comes and goes meanwhile. */
  [Symbol.iterator](): IterableIterator<Member> {
    return [...this.#members].values();
  }
}
