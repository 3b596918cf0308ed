/** What must survive a crash, a reload or a lost network: drawings, and masks not yet sent.
 *
 * Both rest in the browser's own database, apart for each account, until the server has said 201.
 */

import { createStore, del, entries, get, set } from "idb-keyval";

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
  constructor(private readonly account: string) {}

  private key(slice: number): string {
    return `${this.account}/${slice}`;
  }

  saveDraft(draft: Draft): Promise<void> {
    return set(this.key(draft.slice), draft, drafts);
  }

  findDraft(slice: number): Promise<Draft | undefined> {
    return get<Draft>(this.key(slice), drafts);
  }

  dropDraft(slice: number): Promise<void> {
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
