/** Drawings that were not submitted survive a crash or a reload in the browser's own database. */

import { createStore, del, get, set } from "idb-keyval";
import { decodeClasses, encodeClasses } from "../draw/pixels";

export interface Draft {
  slice: number;
  width: number;
  height: number;
  classes: Uint8Array;
  seconds: number;
  /** Milliseconds since 1970. */
  savedAt: number;
  /** The model whose suggestion was taken over, in part or whole. */
  suggestionModel?: number | null;
}

const drafts = createStore("sfumato-drafts", "drafts");

/** The drafts of one account. */
export class DraftStore {
  /** The newest draft, until the browser's database has it. */
  private unsaved: Draft | null = null;

  constructor(private readonly account: string) {}

  private key(slice: number): string {
    return `${this.account}/${slice}`;
  }

  async save(draft: Draft): Promise<void> {
    this.unsaved = draft;
    await set(this.key(draft.slice), draft, drafts);
    if (this.unsaved === draft) this.unsaved = null;
  }

  /** The page goes away now: what the database may not have yet is written where it takes no wait. */
  flush(): void {
    if (!this.unsaved) return;
    const { classes, ...rest } = this.unsaved;
    const png = encodeClasses(this.unsaved);
    const text = btoa(Array.from(png, (byte) => String.fromCharCode(byte)).join(""));
    localStorage.setItem(this.key(this.unsaved.slice), JSON.stringify({ ...rest, png: text }));
  }

  async find(slice: number): Promise<Draft | undefined> {
    const last = localStorage.getItem(this.key(slice));
    if (last) {
      const { png, ...rest } = JSON.parse(last);
      const bytes = Uint8Array.from(atob(png), (letter) => letter.charCodeAt(0));
      await this.save({ ...rest, classes: decodeClasses(bytes).classes });
      localStorage.removeItem(this.key(slice));
    }
    return get<Draft>(this.key(slice), drafts);
  }

  drop(slice: number): Promise<void> {
    this.unsaved = null;
    localStorage.removeItem(this.key(slice));
    return del(this.key(slice), drafts);
  }
}
