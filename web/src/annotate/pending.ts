/** Submitted masks rest in the browser's own database until the server has said 201. */

import { createStore, del, entries, set } from "idb-keyval";

/** A submitted mask on its way to the server. */
export interface PendingMask {
  slice: number;
  label: string;
  png: Uint8Array<ArrayBuffer>;
  seconds: number;
  /** When it was submitted (milliseconds since 1970). */
  at: number;
  /** The model whose suggestion it was drawn from, in part or whole. */
  suggestionModel?: number | null;
  /** The annotator said that there is nothing to draw. */
  blank?: boolean;
}

// Named so since the first version: masks that lie in people's browsers are still sent.
const pending = createStore("sfumato-parcels", "parcels");

/** The unsent masks of one account. */
export class PendingMasks {
  constructor(private readonly account: string) {}

  private key(slice: number): string {
    return `${this.account}/${slice}`;
  }

  save(mask: PendingMask): Promise<void> {
    return set(this.key(mask.slice), mask, pending);
  }

  drop(slice: number): Promise<void> {
    return del(this.key(slice), pending);
  }

  /** The masks that still have to be sent, oldest first. */
  async all(): Promise<PendingMask[]> {
    const found = await entries<string, PendingMask>(pending);
    return found
      .filter(([key]) => key.startsWith(`${this.account}/`))
      .map(([, mask]) => mask)
      .sort((a, b) => a.at - b.at);
  }
}

/** Where a mask is sent, with what is told of how it came about. */
export function addressOf(mask: Omit<PendingMask, "png" | "label" | "at">): string {
  const query = new URLSearchParams({ seconds: mask.seconds.toFixed(1) });
  // A blank that was said owes nothing to what was drawn before.
  if (mask.blank) query.set("blank", "true");
  else if (mask.suggestionModel != null) query.set("suggestion", String(mask.suggestionModel));
  return `/slices/${mask.slice}/masks?${query}`;
}
