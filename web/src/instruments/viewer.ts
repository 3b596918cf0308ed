/** How a slice is looked at: its channel, the window of each channel, and neighbours in its place. */

import type { SliceInfo } from "../api/client";
import { type Channel, channelOf, type Orientation } from "../api/slices";
import type { GrayPicture } from "../draw/pixels";
import { FIRST_PRESET, presetAfter, presetsOf, presetWindow, type Window } from "../draw/window";
import { words } from "../ui";
import type { Loader } from "./loader";

/** A slice with all of its channels, and where it lies in its case. */
export interface ViewedSlice {
  case: string;
  index: number;
  channels: Channel[];
  /** By the channel's name. */
  pictures: Map<string, GrayPicture>;
  /** The height of a pixel over its width. */
  aspect: number;
  orientation: Orientation | null;
  /** The slices of the case by their index. */
  neighbours: Map<number, SliceInfo>;
}

/** What is shown of a slice at a moment. */
export interface SliceView {
  /** Of the picture that is shown: a neighbour's channel has values of its own scale. */
  channel: Channel | null;
  /** The slice itself in the chosen channel. */
  picture: GrayPicture | null;
  /** In the file's values. */
  window: Window;
  /** The window's preset; "" where the window was set by hand. */
  preset: string;
  /** The neighbour in place of the slice, and how far away it lies; null and 0 at home. */
  other: GrayPicture | null;
  offset: number;
  /** Why the last step did not get anywhere. */
  failure: { beyond: true } | { error: string } | null;
}

export const NOTHING_VIEWED: SliceView = {
  channel: null,
  picture: null,
  window: { level: 128, width: 256 },
  preset: FIRST_PRESET,
  other: null,
  offset: 0,
  failure: null,
};

/** The preset of each channel, by name: of this visit alone, or kept for the next. */
interface Presets {
  get(channel: string): string | undefined;
  set(channel: string, preset: string): unknown;
}

export class Viewer {
  private view = NOTHING_VIEWED;
  private slice: ViewedSlice | null = null;
  private chosen: string | null = null;
  /** Windows set by hand, by the channel's name: each holds for its case. */
  private readonly byHand = new Map<string, { case: string; window: Window }>();
  /** Steps to neighbours that were asked for; only the last one's picture is shown. */
  private turn = 0;
  /** Where the steps have led, also while the picture is still on its way. */
  private wanted = 0;

  constructor(
    private readonly loader: Loader,
    private readonly changed: (view: SliceView) => void,
    private readonly presets: Presets = new Map<string, string>(),
  ) {}

  /** Take another slice; returns what is shown of it, which `changed` is not told. */
  open(slice: ViewedSlice): SliceView {
    this.turn++;
    this.wanted = 0;
    this.slice = slice;
    this.view = { ...this.view, other: null, offset: 0, failure: null, ...this.home(slice) };
    return this.view;
  }

  /** Show the channel of that name, here and on the slices that follow. */
  selectChannel(name: string): void {
    const { slice, wanted } = this;
    if (!slice || name === this.channelIn(slice).name) return;
    this.chosen = name;
    this.loader.channel = name;
    if (wanted === 0) this.set(this.home(slice));
    else void this.show(slice, wanted);
    this.loader.fetchNeighbours(slice.neighbours, slice.index);
  }

  nextChannel(): void {
    const { slice } = this;
    if (!slice) return;
    const names = slice.channels.map(({ name }) => name);
    const place = names.indexOf(this.channelIn(slice).name);
    this.selectChannel(names[(place + 1) % names.length]);
  }

  /** Set the window by hand. */
  setWindow(window: Window): void {
    const { slice } = this;
    if (!slice) return;
    this.byHand.set(this.channelIn(slice).name, { case: slice.case, window });
    this.showWindow(slice);
  }

  /** Look through a preset, here and on the slices that follow; one of CT only at CT. */
  usePreset(preset: string): void {
    const { slice } = this;
    if (!slice) return;
    const { name, unit } = this.channelIn(slice);
    if (!presetsOf(unit).includes(preset)) return;
    this.byHand.delete(name);
    this.presets.set(name, preset);
    this.showWindow(slice);
  }

  nextPreset(): void {
    const { slice, view } = this;
    if (slice) this.usePreset(presetAfter(view.preset, this.channelIn(slice).unit));
  }

  /** Look at a neighbour, so many slices on from the one that is looked at; 0 goes home. */
  async look(by: number): Promise<void> {
    const { slice } = this;
    if (!slice) return;
    const to = by === 0 ? 0 : this.wanted + by;
    if (to === 0) this.goHome();
    else if (slice.neighbours.has(slice.index + to)) await this.show(slice, to);
    else this.set({ failure: { beyond: true } });
  }

  /** Back to the slice itself. */
  goHome(): void {
    this.turn++;
    this.wanted = 0;
    if (this.slice) this.set({ ...this.home(this.slice), other: null, offset: 0, failure: null });
  }

  private async show(slice: ViewedSlice, to: number): Promise<void> {
    const neighbour = slice.neighbours.get(slice.index + to)!;
    const channel = channelOf(neighbour, this.chosen);
    const turn = ++this.turn;
    this.wanted = to;
    try {
      const other = await this.loader.picture(channel);
      if (turn !== this.turn) return;
      this.set({ ...this.home(slice), channel, other, offset: to, failure: null });
      for (const further of [to - 1, to + 1]) {
        this.loader.fetch(slice.neighbours.get(slice.index + further));
      }
    } catch (failure) {
      if (turn === this.turn) this.set({ failure: { error: words(failure) } });
    }
  }

  /** The slice itself, in the chosen channel. */
  private home(slice: ViewedSlice): Pick<SliceView, "channel" | "picture" | "window" | "preset"> {
    const channel = this.channelIn(slice);
    const picture = slice.pictures.get(channel.name)!;
    const byHand = this.byHand.get(channel.name);
    if (byHand?.case === slice.case) return { channel, picture, window: byHand.window, preset: "" };
    const chosen = this.presets.get(channel.name) ?? FIRST_PRESET;
    const preset = presetsOf(channel.unit).includes(chosen) ? chosen : FIRST_PRESET;
    // The same slice in the same window is not computed, nor drawn, again.
    const same = picture === this.view.picture && preset === this.view.preset;
    const window = same ? this.view.window : presetWindow(preset, picture);
    return { channel, picture, window, preset };
  }

  /** The chosen channel of a slice; its first where it has none of that name. */
  private channelIn({ channels }: ViewedSlice): Channel {
    return channels.find(({ name }) => name === this.chosen) ?? channels[0];
  }

  private showWindow(slice: ViewedSlice): void {
    const { window, preset } = this.home(slice);
    this.set({ window, preset });
  }

  private set(change: Partial<SliceView>): void {
    this.view = { ...this.view, ...change };
    this.changed(this.view);
  }
}
