/** What was drawn of a slice already, taken up again. */

import { blankMap, type ClassMap } from "../draw/pixels";
import type { DraftStore } from "../instruments/drafts";
import type { Loader } from "../instruments/loader";
import type { LoadedSlice } from "./prepare";

export interface Begun {
  mask: ClassMap;
  seconds: number;
  /** The model whose suggestion was taken over, in part or whole. */
  suggestionModel: number | null;
  /** When the draft was drawn (milliseconds since 1970); null for what is no draft. */
  restoredAt: number | null;
}

/** A draft here, or before that a mask that came back from a reviewer, or a blank one. */
export async function begunOf(
  loaded: LoadedSlice,
  drafts: DraftStore,
  loader: Loader,
): Promise<Begun> {
  const { item } = loaded;
  const [{ width, height }] = loaded.pictures.values();
  const draft = await drafts.find(item.slice);
  if (draft?.width === width && draft.height === height) {
    const { classes, seconds, savedAt: restoredAt, suggestionModel = null } = draft;
    const mask = blankMap(draft, classes.slice());
    return { mask, seconds, suggestionModel, restoredAt };
  }
  const before = item.returned && (await loader.ownMask(item.slice));
  const mask = blankMap({ width, height }, before?.classes.slice());
  return { mask, seconds: 0, suggestionModel: null, restoredAt: null };
}
