/** Everything of an item that the page shows, fetched and decoded ahead of time. */

import { bytes, type Item } from "../api/client";
import { aspectOf, channelsOf } from "../api/slices";
import { type ClassMap, decodeClasses } from "../draw/pixels";
import { outline } from "../draw/tools";
import type { Loader } from "../instruments/loader";
import type { ViewedSlice } from "../instruments/viewer";

/** A slice that is ready to be drawn on. */
export interface LoadedSlice extends ViewedSlice {
  item: Item;
  suggestion: ClassMap | null;
  /** The model that made the suggestion. */
  suggestionModel: number | null;
  suggestionOutline: Uint8Array | null;
  uncertainty: Uint8Array | null;
}

export class ItemLoader {
  private readonly known = new Map<number, Promise<LoadedSlice>>();

  constructor(private readonly loader: Loader) {}

  /** The slice of an item; the second time at no cost. */
  load(item: Item): Promise<LoadedSlice> {
    const known = this.known.get(item.slice);
    if (known) return known;
    const loading = this.fetch(item);
    this.known.set(item.slice, loading);
    loading.catch(() => this.known.delete(item.slice));
    return loading;
  }

  /** Forget a slice that is done with. */
  forget(slice: number): void {
    this.known.delete(slice);
  }

  private async fetch(item: Item): Promise<LoadedSlice> {
    const channels = channelsOf(item);
    const [pictures, suggestion, uncertainty, neighbours] = await Promise.all([
      this.loader.pictures(channels),
      item.suggestion ? bytes(item.suggestion) : null,
      item.uncertainty ? bytes(item.uncertainty) : null,
      this.loader.slicesOf(item.case),
    ]);
    this.loader.fetchNeighbours(neighbours, item.index);
    const map = suggestion && decodeClasses(suggestion);
    return {
      item,
      case: item.case,
      index: item.index,
      channels,
      pictures,
      aspect: aspectOf(item),
      orientation: item.orientation ?? null,
      neighbours,
      suggestion: map,
      suggestionModel: (map && item.suggestion_model) ?? null,
      suggestionOutline: map && outline(map),
      uncertainty: uncertainty && decodeClasses(uncertainty).classes,
    };
  }
}
