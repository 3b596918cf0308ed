/** The annotator's queue: slices leased and loaded before they are needed. */

import { api, type Batch, data, type Item } from "../api/client";
import type { ItemLoader } from "./prepare";

/** The slice that is drawn on, and those that are ready behind it. */
const AHEAD = 3;
const LARGEST_BATCH = 50;

export class Queue {
  private items: Item[] = [];
  /** Submitted or skipped here; the server may not know yet. */
  private readonly done = new Set<number>();

  constructor(
    private readonly project: string,
    private readonly loader: ItemLoader,
  ) {}

  /** Ask the server what is next, and load it. Renews what is held. */
  async refill(unsent: Set<number>): Promise<Batch> {
    const size = Math.min(1 + AHEAD + unsent.size, LARGEST_BATCH);
    const batch = await data(
      api.GET("/query/next", { params: { query: { project: this.project, size } } }),
    );
    this.items = batch.items.filter(
      (item) => !unsent.has(item.slice) && !(this.done.has(item.slice) && !item.returned),
    );
    for (const item of this.items) this.loader.load(item).catch(() => {});
    return batch;
  }

  /** The next item that is not `current`. */
  next(current: number | null): Item | null {
    return this.items.find((item) => item.slice !== current) ?? null;
  }

  /** The newest that is known of a held slice, such as when its lease ends. */
  find(slice: number): Item | null {
    return this.items.find((item) => item.slice === slice) ?? null;
  }

  /** A slice is answered or given back. */
  finish(slice: number): void {
    this.done.add(slice);
    this.items = this.items.filter((item) => item.slice !== slice);
    this.loader.forget(slice);
  }

  /** Leave to others what was only fetched ahead, as when the page is closed. */
  release(current: number | null, headers: Record<string, string>): void {
    const leases = this.items.filter((item) => item.slice !== current).map(({ lease }) => lease.id);
    this.items = this.items.filter((item) => item.slice === current);
    for (const lease of leases) {
      void fetch(`/leases/${lease}`, { method: "DELETE", keepalive: true, headers });
    }
    sessionStorage.setItem(RELEASED_KEY, JSON.stringify(leases));
  }
}

const RELEASED_KEY = "sfumato-released";

/** Make sure that what this tab gave back when it was left is given back.
 *
 * After a reload the old page's requests may still be under way; one that arrived after our first
 * question would take away what was just handed out.
 */
export async function settleReleases(): Promise<void> {
  const leases: number[] = JSON.parse(sessionStorage.getItem(RELEASED_KEY) ?? "[]");
  sessionStorage.removeItem(RELEASED_KEY);
  await Promise.allSettled(
    leases.map((lease) =>
      api.DELETE("/leases/{lease_id}", { params: { path: { lease_id: lease } } }),
    ),
  );
}
