/** What must survive a crash, a reload or a lost network: drawings, and masks not yet sent.
 *
 * Both rest in the browser's own database, apart for each account, until the server has said 201.
 */

import { createStore, del, entries, get, set } from "idb-keyval";
import { decodeClasses, encodeClasses } from "../draw/pixels";

/** A drawing that was not submitted. */
export interface Draft {
  slice: number;
  width: number;
  height: number;
  classes: Uint8Array;
  seconds: number;
  savedAt: number;
}

/** A submitted mask on its way to the server. */
export interface Parcel {
  slice: number;
  label: string;
  png: Uint8Array<ArrayBuffer>;
  seconds: number;
  at: number;
}

const drafts = createStore("sfumato-drafts", "drafts");
const parcels = createStore("sfumato-parcels", "parcels");

export class Keep {
  /** The newest draft, until the browser's database has it. */
  private unsaved: Draft | null = null;

  constructor(private readonly account: string) {}

  private key(slice: number): string {
    return `${this.account}/${slice}`;
  }

  async saveDraft(draft: Draft): Promise<void> {
    this.unsaved = draft;
    await set(this.key(draft.slice), draft, drafts);
    if (this.unsaved === draft) this.unsaved = null;
  }

  /** The page goes away now: what the database may not have yet is written where it takes no wait. */
  leave(): void {
    if (!this.unsaved) return;
    const { classes, ...rest } = this.unsaved;
    const png = encodeClasses(this.unsaved);
    const text = btoa(Array.from(png, (byte) => String.fromCharCode(byte)).join(""));
    localStorage.setItem(this.key(this.unsaved.slice), JSON.stringify({ ...rest, png: text }));
  }

  async findDraft(slice: number): Promise<Draft | undefined> {
    const last = localStorage.getItem(this.key(slice));
    if (last) {
      const { png, ...rest } = JSON.parse(last);
      const bytes = Uint8Array.from(atob(png), (letter) => letter.charCodeAt(0));
      await this.saveDraft({ ...rest, classes: decodeClasses(bytes).classes });
      localStorage.removeItem(this.key(slice));
    }
    return get<Draft>(this.key(slice), drafts);
  }

  dropDraft(slice: number): Promise<void> {
    this.unsaved = null;
    localStorage.removeItem(this.key(slice));
    return del(this.key(slice), drafts);
  }

  saveParcel(parcel: Parcel): Promise<void> {
    return set(this.key(parcel.slice), parcel, parcels);
  }

  dropParcel(slice: number): Promise<void> {
    return del(this.key(slice), parcels);
  }

  /** The masks that still have to be sent, oldest first. */
  async waiting(): Promise<Parcel[]> {
    const found = await entries<string, Parcel>(parcels);
    return found
      .filter(([key]) => key.startsWith(`${this.account}/`))
      .map(([, parcel]) => parcel)
      .sort((a, b) => a.at - b.at);
  }
}
