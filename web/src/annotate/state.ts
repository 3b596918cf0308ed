/** What the annotator's page shows at a moment. */

import type { Batch } from "../api/client";
import type { Can } from "../draw/board";
import type { OverlaySettings } from "../draw/compose";
import type { ClassMap } from "../draw/pixels";
import type { ToolSettings } from "../draw/tool-settings";
import type { ActiveClock } from "../instruments/clock";
import { NOTHING_VIEWED, type SliceView } from "../instruments/viewer";
import type { OutboxState } from "./outbox";
import type { LoadedSlice } from "./prepare";

/** The slice that is drawn on. */
export interface Current {
  loaded: LoadedSlice;
  mask: ClassMap;
  clock: ActiveClock;
  /** The model whose suggestion was taken over, in part or whole; undoing that does not forget it. */
  suggestionModel: number | null;
  /** Set when it was submitted before and is drawn again. */
  revised: boolean;
}

export interface WorkspaceState {
  current: Current | null;
  batch: Batch | null;
  tool: ToolSettings;
  overlays: OverlaySettings;
  view: SliceView;
  can: Can;
  canGoBack: boolean;
  /** When the draft that was taken up again was drawn (milliseconds since 1970). */
  restoredAt: number | null;
  notice: string | null;
  error: string | null;
  refusals: string[];
  /** Why the batch is drawn for variety, once that was read. */
  exploringRead: string | null;
  leaseLost: boolean;
  outbox: OutboxState;
  /** Another tab is drawn in. */
  passive: boolean;
}

export const EMPTY_WORKSPACE: WorkspaceState = {
  current: null,
  batch: null,
  tool: { kind: "brush", value: 1, size: 9, tolerance: 0.1 },
  overlays: { maskOpacity: 0.4, suggestion: true, uncertaintyOpacity: 0 },
  view: NOTHING_VIEWED,
  can: { undo: false, redo: false },
  canGoBack: false,
  restoredAt: null,
  notice: null,
  error: null,
  refusals: [],
  exploringRead: null,
  leaseLost: false,
  outbox: { waiting: 0, reachable: true },
  passive: false,
};

/** The state, and whoever shows it. */
export class WorkspaceStore {
  state = EMPTY_WORKSPACE;

  constructor(private readonly changed: (state: WorkspaceState) => void) {}

  set(change: Partial<WorkspaceState>): void {
    this.state = { ...this.state, ...change };
    this.changed(this.state);
  }
}
