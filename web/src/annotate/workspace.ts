/** The slice in work: what comes, what is drawn of it, and where that goes.
 *
 * `Queue` says what comes next, `ItemLoader` fetches it, `DrawingControls` holds the board and its
 * tools, `DraftStore` keeps every stroke in the browser, `Outbox` brings the masks to the server.
 * The page shows `WorkspaceState` and calls the methods; nothing here knows how the page looks.
 */

import { api, csrfHeaders, data, type Item, type Project } from "../api/client";
import { blankMap, decodeClasses, encodeClasses } from "../draw/pixels";
import { ActiveClock } from "../instruments/clock";
import { DraftStore } from "../instruments/drafts";
import { Loader } from "../instruments/loader";
import { t } from "../texts";
import { words } from "../ui";
import { type Begun, begunOf } from "./begun";
import { DrawingControls } from "./controls";
import { Outbox } from "./outbox";
import { type PendingMask, PendingMasks } from "./pending";
import { ItemLoader, type LoadedSlice } from "./prepare";
import { Queue, settleReleases } from "./queue";
import { type WorkspaceState, WorkspaceStore } from "./state";
import { Tabs } from "./tabs";

const RENEW_MS = 120_000;
/** Somebody waits for the next round: so often it is asked for. */
const WAITING_MS = 5000;
/** Somebody who did nothing for so long has gone; the slice may go to others. */
const IDLE_MS = 10 * 60_000;

export class Workspace {
  readonly controls: DrawingControls;
  private readonly store: WorkspaceStore;
  private readonly drafts: DraftStore;
  private readonly loader: Loader;
  private readonly items: ItemLoader;
  private readonly queue: Queue;
  private readonly outbox: Outbox;
  private tabs: Tabs | null = null;
  private lastSubmitted: (Begun & { loaded: LoadedSlice }) | null = null;
  private lastActive = Date.now();
  private submitting = false;
  /** Slices on their way to the board: whoever asks meanwhile need not fetch another. */
  private coming = 0;

  constructor(
    private readonly account: string,
    private readonly project: Project,
    changed: (state: WorkspaceState) => void,
  ) {
    this.store = new WorkspaceStore(changed);
    this.drafts = new DraftStore(account);
    this.loader = new Loader(project.name);
    this.items = new ItemLoader(this.loader);
    this.queue = new Queue(project.name, this.items);
    this.controls = new DrawingControls(this.store, this.loader, {
      drawn: () => this.saveSoon(),
      used: () => this.used(),
    });
    this.outbox = new Outbox(
      new PendingMasks(account),
      (outbox) => this.set({ outbox }),
      () => void this.refill(),
      (mask, why) => this.refused(mask, why.message),
    );
  }

  /** Draw into `host` and ask for slices, until the returned function is called. */
  open(host: HTMLElement): () => void {
    this.set({});
    this.controls.attach(host);
    this.tabs = new Tabs(this.account, () => this.set({ passive: true }));
    this.tabs.takeOver();
    const renewing = setInterval(() => void this.renew(), RENEW_MS);
    const waiting = setInterval(() => {
      if (!this.state.current && !this.state.passive) void this.refill();
    }, WAITING_MS);
    const hide = () => {
      this.drafts.flush();
      this.release();
    };
    window.addEventListener("pagehide", hide);
    this.outbox.hurry();
    void settleReleases().then(() => this.refill());
    return () => {
      window.removeEventListener("pagehide", hide);
      clearInterval(renewing);
      clearInterval(waiting);
      this.release();
      this.tabs?.close();
      this.controls.detach();
    };
  }

  private get state(): WorkspaceState {
    return this.store.state;
  }

  private set(change: Partial<WorkspaceState>): void {
    this.store.set(change);
  }

  /** The annotator did something just now. */
  used(): void {
    this.lastActive = Date.now();
    this.state.current?.clock.tick(performance.now());
  }

  // Slices come

  /** Ask the server what is next; show the first slice if none is shown. */
  async refill(): Promise<void> {
    // Somebody who left the page must not be handed anything.
    if (!this.controls.isAttached) return;
    try {
      const batch = await this.queue.refill(await this.outbox.slices());
      this.set({ batch, error: null });
      const { current } = this.state;
      const item = current && this.queue.find(current.loaded.item.slice);
      if (item) this.set({ current: { ...current, loaded: { ...current.loaded, item } } });
      if (!current && this.coming === 0) await this.showNext();
    } catch (failure) {
      this.set({ error: t.annotate.failed(words(failure)) });
    }
  }

  /** Leases are kept up while somebody is at work, and let go when nobody is. */
  private async renew(): Promise<void> {
    if (this.state.passive || Date.now() - this.lastActive > IDLE_MS) return;
    await this.refill();
    const item = this.state.current?.loaded.item;
    // Asking renews a lease that ran out, unless somebody else has the slice by now.
    const held = item && this.queue.find(item.slice);
    const ended = item !== undefined && Date.parse(item.lease.expires_at) < Date.now();
    this.set({ leaseLost: ended && !held });
  }

  /** Leave to others what is not begun. */
  private release(): void {
    const begun = this.state.can.undo ? this.state.current?.loaded.item.slice : null;
    this.queue.release(begun ?? null, csrfHeaders());
  }

  private async showNext(): Promise<void> {
    const item = this.queue.next(this.state.current?.loaded.item.slice ?? null);
    if (!item) {
      this.set({ current: null });
      return;
    }
    this.coming++;
    try {
      // It was loaded when it was first handed out; its lease may have been renewed since.
      await this.show({ ...(await this.items.load(item)), item });
    } finally {
      this.coming--;
    }
  }

  /** Show a slice to be drawn on, with what was drawn of it already. */
  private async show(loaded: LoadedSlice, again?: Begun): Promise<void> {
    this.coming++;
    try {
      const begun = again ?? (await begunOf(loaded, this.drafts, this.loader));
      const { mask, seconds, suggestionModel, restoredAt } = begun;
      const view = this.controls.show(loaded, mask, this.project.classes.length);
      const clock = new ActiveClock(seconds);
      const current = { loaded, mask, clock, suggestionModel, revised: Boolean(again) };
      this.set({ view, current, leaseLost: false, error: null, restoredAt });
    } finally {
      this.coming--;
    }
  }

  // Masks go

  private saveSoon(): void {
    void this.saveDraft().catch((failure) => this.set({ error: words(failure) }));
  }

  private async saveDraft(): Promise<void> {
    const { current } = this.state;
    if (!current) return;
    await this.drafts.save({
      ...current.mask,
      slice: current.loaded.item.slice,
      classes: current.mask.classes.slice(),
      seconds: current.clock.seconds,
      savedAt: Date.now(),
      suggestionModel: current.suggestionModel,
    });
  }

  /** Hand in what is drawn, or that there is nothing to draw, and go on to the next slice. */
  async submit(saidBlank = false): Promise<void> {
    const { current, passive } = this.state;
    // A key that is held down repeats itself: one slice at a time.
    if (!current || passive || this.submitting) return;
    this.submitting = true;
    try {
      const { loaded, clock, suggestionModel } = current;
      const { item } = loaded;
      const drawn = saidBlank ? blankMap(current.mask) : current.mask;
      this.used();
      await this.outbox.put({
        slice: item.slice,
        label: t.instruments.slice(item.case, item.index),
        png: encodeClasses(drawn),
        seconds: clock.seconds,
        at: Date.now(),
        suggestionModel,
        blank: saidBlank,
      });
      const mask = { ...drawn, classes: drawn.classes.slice() };
      const begun = { mask, seconds: clock.seconds, suggestionModel, restoredAt: null };
      this.lastSubmitted = { loaded, ...begun };
      this.set({ canGoBack: true, notice: saidBlank ? t.annotate.marked : null });
      await this.done(item);
    } finally {
      this.submitting = false;
    }
    if (!this.state.current) void this.refill();
  }

  /** Close the polygon that is begun; without one, submit. */
  async finish(): Promise<void> {
    if (!this.controls.closePolygon()) await this.submit();
  }

  /** Give the slice back, with a reason for whoever looks after the project. */
  async skip(reason: string): Promise<void> {
    const item = this.state.current?.loaded.item;
    if (!item) return;
    try {
      const where = { path: { lease_id: item.lease.id }, query: { reason } };
      await data(api.DELETE("/leases/{lease_id}", { params: where }));
    } catch (failure) {
      // A lease that is lost already need not be given back.
      if (!(failure instanceof Error && "status" in failure && failure.status === 410)) {
        this.set({ error: words(failure) });
        return;
      }
    }
    await this.done(item);
    void this.refill();
  }

  private async done(item: Item): Promise<void> {
    this.queue.finish(item.slice);
    await this.drafts.drop(item.slice);
    await this.showNext();
  }

  /** What was drawn comes back as a draft: it can be changed, or at least looked at. */
  private refused(mask: PendingMask, why: string): void {
    const { slice, seconds, at: savedAt, suggestionModel = null } = mask;
    const drawn = decodeClasses(mask.png);
    void this.drafts.save({ ...drawn, slice, seconds, savedAt, suggestionModel });
    this.set({ refusals: [...this.state.refusals, t.annotate.refused(mask.label, why)] });
  }

  /** Go back to the slice that was submitted last. */
  async goBack(): Promise<void> {
    const last = this.lastSubmitted;
    if (!last) return;
    this.lastSubmitted = null;
    this.set({ canGoBack: false });
    if (this.state.can.undo) await this.saveDraft();
    await this.show(last.loaded, last);
  }

  /** Work here, not in the other tab. */
  async takeOver(): Promise<void> {
    this.tabs?.takeOver();
    const { current } = this.state;
    this.set({ passive: false, current: null });
    // The other tab may have drawn on: its draft is the newer one.
    if (current) await this.show(current.loaded);
    await this.refill();
  }

  closeRefusals(): void {
    this.set({ refusals: [] });
  }

  /** The reason why the batch is drawn for variety has been read. */
  closeExploring(): void {
    this.set({ exploringRead: this.state.batch?.exploring ?? null });
  }
}
