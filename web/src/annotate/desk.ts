/** The annotator's desk: the slice that lies on it, what is drawn, and where that goes.
 *
 * `Queue` says what comes next, `Loader` fetches it, `Board` draws, `Keep` holds every stroke in
 * the browser, `Outbox` brings the masks to the server. The page shows `DeskState` and calls the
 * methods; nothing here knows how the page looks.
 */

import { api, csrfHeaders, data, type Item, type Project } from "../api/client";
import { Board } from "../draw/board";
import type { Looks } from "../draw/compose";
import { adjusted, type Hand } from "../draw/hand";
import { blankMap, type ClassMap, decodeClasses, encodeClasses } from "../draw/pixels";
import { FIRST_PRESET, PRESETS, presetAfter } from "../draw/window";
import { t } from "../texts";
import { words } from "../ui";
import { ActiveClock } from "./clock";
import { type Draft, Keep } from "./keep";
import { Loader, type Ready } from "./load";
import { Outbox } from "./outbox";
import { Queue, settleReleases } from "./queue";
import { type DeskState, EMPTY_DESK } from "./state";
import { Tabs } from "./tabs";

const RENEW_MS = 120_000;
/** Somebody waits for the next round: so often it is asked for. */
const WAITING_MS = 5000;
/** Somebody who did nothing for so long has gone; the slice may go to others. */
const IDLE_MS = 10 * 60_000;

export class Desk {
  private state = EMPTY_DESK;
  private readonly keep: Keep;
  private readonly loader: Loader;
  private readonly queue: Queue;
  private readonly outbox: Outbox;
  private board: Board | null = null;
  private tabs: Tabs | null = null;
  private lastSubmitted: { ready: Ready; mask: ClassMap; seconds: number } | null = null;
  private lastActive = Date.now();
  private submitting = false;
  /** Slices on their way to the desk: whoever asks meanwhile need not fetch another. */
  private coming = 0;
  /** Steps to neighbours that were asked for; only the last one's picture is shown. */
  private lookTurn = 0;
  /** Where the steps to neighbours have led, also while the picture is still on its way. */
  private lookedAt = 0;

  constructor(
    private readonly account: string,
    private readonly project: Project,
    private readonly changed: (state: DeskState) => void,
  ) {
    this.keep = new Keep(account);
    this.loader = new Loader(project.name);
    this.queue = new Queue(project.name, this.loader);
    this.outbox = new Outbox(
      this.keep,
      (outbox) => this.set({ outbox }),
      () => void this.refill(),
      (parcel, why) => {
        // What was drawn comes back as a draft: it can be mended, or at least looked at.
        const { slice, seconds, at: savedAt } = parcel;
        void this.keep.saveDraft({ ...decodeClasses(parcel.png), slice, seconds, savedAt });
        const refusal = t.annotate.refused(parcel.label, why.message);
        this.set({ refusals: [...this.state.refusals, refusal] });
      },
    );
  }

  /** Sit down: draw into `host` and ask for slices, until the returned function is called. */
  open(host: HTMLElement): () => void {
    this.changed(this.state);
    const board = new Board(host, this.state.looks, this.state.hand, {
      drawn: () => void this.saveDraft().catch((failure) => this.set({ error: words(failure) })),
      can: (can) => this.set({ can }),
      active: () => this.used(),
      windowed: (window) => this.set({ looks: { ...this.state.looks, window }, preset: "" }),
      scrolled: (by) => void this.look(by),
      sized: (size) => this.changeHand({ size }),
    });
    this.board = board;
    this.tabs = new Tabs(this.account, () => this.set({ passive: true }));
    this.tabs.takeOver();
    const renewing = setInterval(() => void this.renew(), RENEW_MS);
    const waiting = setInterval(() => {
      if (!this.state.current && !this.state.passive) void this.refill();
    }, WAITING_MS);
    const hide = () => {
      this.keep.leave();
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
      board.remove();
      this.board = null;
    };
  }

  private set(change: Partial<DeskState>): void {
    this.state = { ...this.state, ...change };
    this.changed(this.state);
  }

  /** The annotator did something just now. */
  used(): void {
    this.lastActive = Date.now();
    this.state.current?.clock.tick(performance.now());
  }

  // Slices come

  /** Ask the server what is next; show the first slice if none is shown. */
  async refill(): Promise<void> {
    // Somebody who left the desk must not be handed anything.
    if (!this.board) return;
    try {
      const batch = await this.queue.refill(await this.outbox.pending());
      this.set({ batch, error: null });
      const { current } = this.state;
      const item = current && this.queue.find(current.ready.item.slice);
      if (item) this.set({ current: { ...current, ready: { ...current.ready, item } } });
      if (!current && this.coming === 0) await this.showNext();
    } catch (failure) {
      this.set({ error: t.annotate.failed(words(failure)) });
    }
  }

  /** Leases are kept up while somebody is at work, and let go when nobody is. */
  private async renew(): Promise<void> {
    if (this.state.passive || Date.now() - this.lastActive > IDLE_MS) return;
    await this.refill();
    const item = this.state.current?.ready.item;
    // One that ran out is had again by asking, unless somebody else has it by now.
    const held = item && this.queue.find(item.slice);
    const ended = item !== undefined && Date.parse(item.lease.expires_at) < Date.now();
    this.set({ leaseLost: ended && !held });
  }

  /** Leave to others what is not begun. */
  private release(): void {
    const begun = this.state.can.undo ? this.state.current?.ready.item.slice : null;
    this.queue.release(begun ?? null, csrfHeaders());
  }

  private async showNext(): Promise<void> {
    const item = this.queue.next(this.state.current?.ready.item.slice ?? null);
    if (!item) {
      this.set({ current: null });
      return;
    }
    this.coming++;
    try {
      // It was loaded when it was first handed out; its lease may have been renewed since.
      await this.show({ ...(await this.loader.item(item)), item });
    } finally {
      this.coming--;
    }
  }

  /** Show a slice to be drawn on: with its draft, or what came back from a reviewer, or blank. */
  private async show(ready: Ready, again?: { mask: ClassMap; seconds: number }): Promise<void> {
    const { draft, before } = again ? {} : await this.begunOf(ready);
    const mask = again?.mask ?? blankMap(ready.picture, (draft ?? before)?.classes.slice());
    const clock = new ActiveClock(again?.seconds ?? draft?.seconds);
    this.lookTurn++;
    this.lookedAt = 0;
    this.set({
      ...this.windowFor(ready),
      current: { ready, mask, clock, revised: Boolean(again) },
      offset: 0,
      can: { undo: false, redo: false },
      leaseLost: false,
      error: null,
      restoredAt: draft?.savedAt ?? null,
    });
    this.board?.setLooks(this.state.looks);
    this.board?.show({ ...ready, mask, classCount: this.project.classes.length });
  }

  /** What was drawn of a slice already: a draft here, or before that a mask that came back. */
  private async begunOf({ item, picture }: Ready): Promise<{ draft?: Draft; before?: ClassMap }> {
    this.coming++;
    try {
      const draft = await this.keep.findDraft(item.slice);
      if (draft?.width === picture.width && draft.height === picture.height) return { draft };
      const before = item.returned && (await this.loader.ownMask(item.slice));
      return before ? { before } : {};
    } finally {
      this.coming--;
    }
  }

  /** A window that was set by hand holds for the case: others have other intensities. */
  private windowFor({ item, picture }: Ready): Partial<DeskState> {
    const { preset, looks, current } = this.state;
    if (preset === "" && current?.ready.item.case === item.case) return {};
    const name = preset || FIRST_PRESET;
    return { preset: name, looks: { ...looks, window: PRESETS[name](picture) } };
  }

  // Masks go

  private async saveDraft(): Promise<void> {
    const { current } = this.state;
    if (!current) return;
    await this.keep.saveDraft({
      ...current.mask,
      slice: current.ready.item.slice,
      classes: current.mask.classes.slice(),
      seconds: current.clock.seconds,
      savedAt: Date.now(),
    });
  }

  /** Hand in what is drawn (or a mask in its place) and go on to the next slice. */
  async submit(mask?: ClassMap): Promise<void> {
    const { current, passive } = this.state;
    // A key that is held down repeats itself: one slice at a time.
    if (!current || passive || this.submitting) return;
    this.submitting = true;
    try {
      const { ready, clock } = current;
      const { item } = ready;
      const drawn = mask ?? current.mask;
      this.used();
      await this.outbox.put({
        slice: item.slice,
        label: t.annotate.slice(item.case, item.index),
        png: encodeClasses(drawn),
        seconds: clock.seconds,
        at: Date.now(),
      });
      const copy = { ...drawn, classes: drawn.classes.slice() };
      this.lastSubmitted = { ready, mask: copy, seconds: clock.seconds };
      this.set({ canGoBack: true, notice: mask ? t.annotate.marked : null });
      await this.done(item);
    } finally {
      this.submitting = false;
    }
    if (!this.state.current) void this.refill();
  }

  /** Hand in an empty mask. */
  async markBlank(): Promise<void> {
    const { current } = this.state;
    if (current) await this.submit(blankMap(current.mask));
  }

  /** Give the slice back, with a reason for whoever looks after the project. */
  async skip(reason: string): Promise<void> {
    const item = this.state.current?.ready.item;
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
    await this.keep.dropDraft(item.slice);
    await this.showNext();
  }

  /** Take the last submitted slice back in hand. */
  async goBack(): Promise<void> {
    const last = this.lastSubmitted;
    if (!last) return;
    this.lastSubmitted = null;
    this.set({ canGoBack: false });
    if (this.state.can.undo) await this.saveDraft();
    await this.show(last.ready, last);
  }

  /** Work here, not in the other tab. */
  async takeOver(): Promise<void> {
    this.tabs?.takeOver();
    const { current } = this.state;
    this.set({ passive: false, current: null });
    // The other tab may have drawn on: its draft is the newer one.
    if (current) await this.show(current.ready);
    await this.refill();
  }

  // Neighbours

  /** Look at a neighbour, so many slices on from the one that is looked at; 0 goes home. */
  async look(by: number): Promise<void> {
    const ready = this.state.current?.ready;
    if (!ready) return;
    const to = by === 0 ? 0 : this.lookedAt + by;
    if (to === 0) {
      this.goHome();
      return;
    }
    const slice = ready.neighbours.get(ready.item.index + to);
    if (!slice) {
      this.set({ notice: t.annotate.noNeighbour });
      return;
    }
    const turn = ++this.lookTurn;
    this.lookedAt = to;
    try {
      const picture = await this.loader.picture(slice.image);
      if (turn !== this.lookTurn) return;
      this.board?.lookAt(picture);
      this.set({ notice: null, offset: to });
      for (const further of [to - 1, to + 1]) {
        const ahead = ready.neighbours.get(ready.item.index + further);
        if (ahead) this.loader.picture(ahead.image).catch(() => {});
      }
    } catch (failure) {
      this.set({ error: words(failure) });
    }
  }

  private goHome(): void {
    this.lookTurn++;
    this.lookedAt = 0;
    this.board?.lookAt(null);
    this.set({ notice: null, offset: 0 });
  }

  /** Copy the own mask of the neighbour that is looked at, or else of the nearest that has one. */
  async copyFromNeighbour(): Promise<void> {
    const { current, offset } = this.state;
    if (!current) return;
    const { item, neighbours } = current.ready;
    try {
      for (const away of offset !== 0 ? [offset] : [-1, 1, -2, 2]) {
        const slice = neighbours.get(item.index + away);
        const mask = slice && (await this.loader.ownMask(slice.id));
        if (mask && mask.width === current.mask.width && mask.height === current.mask.height) {
          this.goHome();
          this.board?.replaceWith(mask.classes);
          return;
        }
      }
      this.set({ notice: t.annotate.noNeighbourMask });
    } catch (failure) {
      this.set({ error: words(failure) });
    }
  }

  // The drawing

  undo(): void {
    this.board?.undo();
  }

  redo(): void {
    this.board?.redo();
  }

  clear(): void {
    const { current } = this.state;
    if (current) this.board?.replaceWith(new Uint8Array(current.mask.classes.length));
  }

  /** Put the restored draft away. */
  startAfresh(): void {
    this.set({ restoredAt: null });
    this.clear();
  }

  acceptAll(): void {
    const suggestion = this.state.current?.ready.suggestion;
    if (suggestion) this.board?.replaceWith(suggestion.classes);
  }

  /** Close the polygon that is begun; without one, submit. */
  async finish(): Promise<void> {
    if (this.board?.isOutlining) this.board.closePolygon();
    else await this.submit();
  }

  escape(): void {
    this.board?.escape();
  }

  holdSpace(held: boolean): void {
    this.board?.holdSpace(held);
  }

  fit(): void {
    this.board?.fit();
  }

  zoom(factor: number): void {
    this.board?.zoom(factor);
  }

  // Hand and looks

  changeHand(change: Partial<Hand>): void {
    this.set({ hand: { ...this.state.hand, ...change } });
    this.board?.setHand(this.state.hand);
  }

  /** Make the brush or the tolerance smaller (-1) or larger (1). */
  adjust(direction: number): void {
    this.changeHand(adjusted(this.state.hand, direction));
  }

  changeLooks(change: Partial<Looks>): void {
    this.set({ looks: { ...this.state.looks, ...change } });
    this.board?.setLooks(this.state.looks);
  }

  toggleMask(): void {
    this.changeLooks({ maskOpacity: this.state.looks.maskOpacity > 0 ? 0 : 0.4 });
  }

  toggleSuggestion(): void {
    this.changeLooks({ suggestion: !this.state.looks.suggestion });
  }

  toggleUncertainty(): void {
    this.changeLooks({ uncertaintyOpacity: this.state.looks.uncertaintyOpacity > 0 ? 0 : 0.6 });
  }

  usePreset(preset: string): void {
    const picture = this.state.current?.ready.picture;
    if (!picture) return;
    this.set({ preset });
    this.changeLooks({ window: PRESETS[preset](picture) });
  }

  nextPreset(): void {
    this.usePreset(presetAfter(this.state.preset));
  }

  readRefusals(): void {
    this.set({ refusals: [] });
  }
}
