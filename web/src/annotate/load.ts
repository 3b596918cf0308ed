/** Everything of a slice that the page shows, fetched and decoded ahead of time. */

import { all, api, bytes, data, type Item, type SliceInfo } from "../api/client";
import { type ClassMap, decodeClasses, decodeGray, type GrayPicture } from "../draw/pixels";
import { outline } from "../draw/tools";

/** A slice that is ready to be drawn on. */
export interface Ready {
  item: Item;
  picture: GrayPicture;
  suggestion: ClassMap | null;
  suggestionOutline: Uint8Array | null;
  uncertainty: Uint8Array | null;
  /** The slices of the case by their index. */
  neighbours: Map<number, SliceInfo>;
}

/** How many neighbours on either side are fetched before anybody scrolls. */
const NEIGHBOURS_AHEAD = 2;

export class Loader {
  private readonly pictures = new Map<string, Promise<GrayPicture>>();
  private readonly cases = new Map<string, Promise<Map<number, SliceInfo>>>();
  private readonly ready = new Map<number, Promise<Ready>>();

  constructor(private readonly project: string) {}

  /** The slice of an item; the second time at no cost. */
  item(item: Item): Promise<Ready> {
    const known = this.ready.get(item.slice);
    if (known) return known;
    const loading = this.load(item);
    this.ready.set(item.slice, loading);
    loading.catch(() => this.ready.delete(item.slice));
    return loading;
  }

  /** A picture by its address. */
  picture(path: string): Promise<GrayPicture> {
    const known = this.pictures.get(path);
    if (known) return known;
    const loading = bytes(path).then((png) => {
      if (!png) throw new Error(`${path} is gone`);
      return decodeGray(png);
    });
    this.pictures.set(path, loading);
    loading.catch(() => this.pictures.delete(path));
    // Pictures of a working day would not fit into memory.
    if (this.pictures.size > 60) this.pictures.delete(this.pictures.keys().next().value!);
    return loading;
  }

  /** Forget a slice that is done with. */
  forget(slice: number): void {
    this.ready.delete(slice);
  }

  /** The reader's own mask of a slice, if there is one. */
  async ownMask(slice: number): Promise<ClassMap | null> {
    const png = await bytes(`/slices/${slice}/masks`);
    return png && decodeClasses(png);
  }

  private async load(item: Item): Promise<Ready> {
    const [picture, suggestion, uncertainty, neighbours] = await Promise.all([
      this.picture(item.image),
      item.suggestion ? bytes(item.suggestion) : null,
      item.uncertainty ? bytes(item.uncertainty) : null,
      this.slicesOf(item.case),
    ]);
    for (let away = 1; away <= NEIGHBOURS_AHEAD; away++) {
      for (const index of [item.index - away, item.index + away]) {
        const neighbour = neighbours.get(index);
        if (neighbour) this.picture(neighbour.image).catch(() => {});
      }
    }
    const map = suggestion && decodeClasses(suggestion);
    return {
      item,
      picture,
      suggestion: map,
      suggestionOutline: map && outline(map),
      uncertainty: uncertainty && decodeClasses(uncertainty).classes,
      neighbours,
    };
  }

  /** The slices of a case by their index; the second time at no cost. */
  slicesOf(name: string): Promise<Map<number, SliceInfo>> {
    const known = this.cases.get(name);
    if (known) return known;
    const loading = all((page) =>
      data(
        api.GET("/projects/{name}/slices", {
          params: {
            path: { name: this.project },
            query: { case: name, ...page },
          },
        }),
      ),
    ).then((slices) => new Map(slices.map((slice) => [slice.index, slice])));
    this.cases.set(name, loading);
    loading.catch(() => this.cases.delete(name));
    return loading;
  }
}
