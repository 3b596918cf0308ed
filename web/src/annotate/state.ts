/** What the annotator's desk looks like at a moment: what the page shows. */

import type { Batch } from "../api/client";
import type { Can } from "../draw/board";
import type { Looks } from "../draw/compose";
import type { Hand } from "../draw/hand";
import type { ClassMap } from "../draw/pixels";
import { FIRST_PRESET } from "../draw/window";
import type { ActiveClock } from "./clock";
import type { Ready } from "./load";
import type { OutboxState } from "./outbox";

/** The slice that is drawn on. */
export interface Current {
  ready: Ready;
  mask: ClassMap;
  clock: ActiveClock;
  /** Set when it was submitted before and is drawn again. */
  revised: boolean;
}

export interface DeskState {
  current: Current | null;
  batch: Batch | null;
  hand: Hand;
  looks: Looks;
  /** The window's preset; "" where the window was set by hand. */
  preset: string;
  /** How far the neighbour that is looked at lies from the slice that is drawn on. */
  offset: number;
  can: Can;
  canGoBack: boolean;
  /** When the draft that was taken up again was drawn (milliseconds since 1970). */
  restoredAt: number | null;
  notice: string | null;
  error: string | null;
  refusals: string[];
  leaseLost: boolean;
  outbox: OutboxState;
  /** Another tab is drawn in. */
  passive: boolean;
}

export const EMPTY_DESK: DeskState = {
  current: null,
  batch: null,
  hand: { tool: "brush", value: 1, size: 9, tolerance: 0.1 },
  looks: {
    window: { level: 128, width: 256 },
    maskOpacity: 0.4,
    suggestion: true,
    uncertaintyOpacity: 0,
  },
  preset: FIRST_PRESET,
  offset: 0,
  can: { undo: false, redo: false },
  canGoBack: false,
  restoredAt: null,
  notice: null,
  error: null,
  refusals: [],
  leaseLost: false,
  outbox: { waiting: 0, reachable: true },
  passive: false,
};
