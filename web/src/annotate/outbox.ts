/** Sends submitted masks, one after the other, until each has arrived.
 *
 * The same bytes twice are the same mask to the server, so a reply that was lost does no harm.
 */

import { type MaskInfo, post, Refused, Unreachable } from "../api/client";
import { addressOf, type PendingMask, type PendingMasks } from "./pending";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;

export interface OutboxState {
  waiting: number;
  reachable: boolean;
}

export class Outbox {
  private running = false;
  private wait = FIRST_WAIT_MS;
  private wake: () => void = () => {};
  private state: OutboxState = { waiting: 0, reachable: true };

  constructor(
    private readonly pending: PendingMasks,
    private readonly changed: (state: OutboxState) => void,
    private readonly sent: (mask: PendingMask, stored: MaskInfo) => void,
    private readonly refused: (mask: PendingMask, error: Refused) => void,
  ) {
    window.addEventListener("online", () => this.hurry());
  }

  /** Slices whose masks have not arrived yet. */
  async slices(): Promise<Set<number>> {
    return new Set((await this.pending.all()).map(({ slice }) => slice));
  }

  /** Take a mask; when this resolves it is safe in the browser. */
  async put(mask: PendingMask): Promise<void> {
    await this.pending.save(mask);
    this.hurry();
  }

  /** Try now rather than after the wait. */
  hurry(): void {
    this.wait = FIRST_WAIT_MS;
    this.wake();
    void this.run();
  }

  private async run(): Promise<void> {
    if (this.running) return;
    this.running = true;
    try {
      for (;;) {
        const waiting = await this.pending.all();
        this.tell({ waiting: waiting.length });
        if (waiting.length === 0) return;
        if (!(await this.sendOne(waiting))) await this.pause();
      }
    } finally {
      this.running = false;
    }
  }

  /** The first that goes: what one project does not take now does not hold up the others'. */
  private async sendOne(waiting: PendingMask[]): Promise<boolean> {
    for (const mask of waiting) {
      if (await this.send(mask)) return true;
      if (!this.state.reachable) return false;
    }
    return false;
  }

  private async send(mask: PendingMask): Promise<boolean> {
    try {
      const stored = await post<MaskInfo>(addressOf(mask), mask.png, "image/png");
      await this.dropIfSame(mask);
      this.tell({ reachable: true });
      this.sent(mask, stored);
      return true;
    } catch (error) {
      // Signed out, or the server is away: the mask waits. Whatever else it said is final.
      if (error instanceof Unreachable || (error instanceof Refused && isForLater(error))) {
        this.tell({ reachable: !(error instanceof Unreachable) });
        return false;
      }
      await this.dropIfSame(mask);
      if (error instanceof Refused) this.refused(mask, error);
      else throw error;
      return true;
    }
  }

  /** A newer mask of the slice may have taken the place of the one that was just sent. */
  private async dropIfSame(mask: PendingMask): Promise<void> {
    const now = (await this.pending.all()).find((other) => other.slice === mask.slice);
    if (now?.at === mask.at) await this.pending.drop(mask.slice);
  }

  private pause(): Promise<void> {
    const wait = this.wait;
    this.wait = Math.min(this.wait * 2, LONGEST_WAIT_MS);
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, wait);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  private tell(change: Partial<OutboxState>): void {
    this.state = { ...this.state, ...change };
    this.changed(this.state);
  }
}

function isForLater(error: Refused): boolean {
  return (
    error.status === 401 || error.status === 403 || error.status === 429 || error.status >= 500
  );
}
