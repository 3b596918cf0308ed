/** Seconds of active drawing: pauses for thought count a little, a coffee does not. */

const LONGEST_PAUSE_SECONDS = 5;

export class ActiveClock {
  private last: number | null = null;

  constructor(public seconds = 0) {}

  /** Something was done at `now` (milliseconds). */
  tick(now: number): void {
    if (this.last !== null) {
      const gap = (now - this.last) / 1000;
      if (gap <= LONGEST_PAUSE_SECONDS) this.seconds += gap;
    }
    this.last = now;
  }
}
