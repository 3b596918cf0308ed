/** The reviewer's queue: what comes next is loaded before it is asked for. */

import { api, bytes, data, type ToReview } from "../api/client";
import { aspectOf, channelsOf } from "../api/slices";
import { type ClassMap, decodeClasses } from "../draw/pixels";
import type { Loader } from "../instruments/loader";
import { t } from "../texts";
import type { Opened } from "./panes";

const PAGE = 20;
/** So many slices behind the one that is shown are loaded. */
const AHEAD = 2;

export class ReviewQueue {
  private items: ToReview[] = [];
  private readonly loaded = new Map<string, Promise<Opened>>();
  /** Whether the server has more than what is known here. */
  more = false;

  constructor(
    private readonly project: string,
    private readonly loader: Loader,
  ) {}

  get count(): number {
    return this.items.length;
  }

  /** What comes next, as far as it is known here. */
  get first(): ToReview | undefined {
    return this.items[0];
  }

  has(slice: number): boolean {
    return this.items.some((item) => item.slice === slice);
  }

  /** Leave a slice behind that was judged or put off. */
  pass(slice: number): void {
    this.items = this.items.filter((item) => item.slice > slice);
  }

  /** Ask the server what lies behind a slice; at the queue's end, from its start. */
  async refresh(after: number | null): Promise<void> {
    let found = await this.page(after);
    if (found.items.length === 0 && after !== null) found = await this.page(null);
    this.items = found.items;
    this.more = typeof found.next === "number";
    const known = new Set(this.items.map(keyOf));
    for (const key of this.loaded.keys()) if (!known.has(key)) this.loaded.delete(key);
    for (const item of this.items.slice(0, 1 + AHEAD)) this.open(item).catch(() => {});
  }

  /** A slice with all that is shown of it; the second time at no cost. */
  open(item: ToReview): Promise<Opened> {
    const key = keyOf(item);
    const known = this.loaded.get(key);
    if (known) return known;
    const loading = this.load(item);
    this.loaded.set(key, loading);
    loading.catch(() => this.loaded.delete(key));
    return loading;
  }

  private page(cursor: number | null) {
    const query = { limit: PAGE, ...(cursor === null ? {} : { cursor }) };
    const params = { path: { name: this.project }, query };
    return data(api.GET("/projects/{name}/reviews", { params }));
  }

  private async load(item: ToReview): Promise<Opened> {
    const channels = channelsOf(item);
    const [pictures, neighbours, ...masks] = await Promise.all([
      this.loader.pictures(channels),
      this.loader.slicesOf(item.case),
      ...item.readings.map(async (reading): Promise<[number, ClassMap]> => {
        const png = await bytes(reading.image);
        if (!png) throw new Error(t.review.nothing);
        return [reading.id, decodeClasses(png)];
      }),
    ]);
    return {
      item,
      case: item.case,
      index: item.index,
      channels,
      pictures,
      aspect: aspectOf(item),
      orientation: item.orientation ?? null,
      neighbours,
      maps: new Map(masks),
    };
  }
}

/** A further reading makes it another thing to look at. */
function keyOf(item: ToReview): string {
  return [item.slice, ...item.readings.map(({ id }) => id)].join("/");
}
