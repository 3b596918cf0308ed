/** Pictures, masks and the slices of a case, fetched once and ahead of time. */

import { all, api, bytes, data, type SliceInfo } from "../api/client";
import { type Channel, channelOf } from "../api/slices";
import { type ClassMap, decodeClasses, decodeGray, type GrayPicture } from "../draw/pixels";

/** How many neighbours on either side are fetched before anybody scrolls. */
const NEIGHBOURS_AHEAD = 2;
/** Pictures of a working day would not fit into memory. */
const PICTURES_KEPT = 60;

export class Loader {
  /** The channel that is looked at: neighbours are fetched in it. */
  channel: string | null = null;
  private readonly known = new Map<string, Promise<GrayPicture>>();
  private readonly cases = new Map<string, Promise<Map<number, SliceInfo>>>();

  constructor(readonly project: string) {}

  /** The picture of a channel; the second time at no cost. */
  picture(channel: Channel): Promise<GrayPicture> {
    const { image } = channel;
    const known = this.known.get(image);
    if (known) return known;
    const loading = bytes(image).then((png) => {
      if (!png) throw new Error(`${image} is gone`);
      return decodeGray(png, channel);
    });
    this.known.set(image, loading);
    loading.catch(() => this.known.delete(image));
    if (this.known.size > PICTURES_KEPT) this.known.delete(this.known.keys().next().value!);
    return loading;
  }

  /** The pictures of all channels by name. */
  async pictures(channels: Channel[]): Promise<Map<string, GrayPicture>> {
    const found = await Promise.all(
      channels.map(
        async (channel): Promise<[string, GrayPicture]> => [
          channel.name,
          await this.picture(channel),
        ],
      ),
    );
    return new Map(found);
  }

  /** Fetch the neighbours of a slice that somebody may scroll to. */
  fetchNeighbours(neighbours: Map<number, SliceInfo>, index: number): void {
    for (let away = 1; away <= NEIGHBOURS_AHEAD; away++) {
      this.fetch(neighbours.get(index - away));
      this.fetch(neighbours.get(index + away));
    }
  }

  /** Fetch a slice's picture for later, if there is such a slice. */
  fetch(slice: SliceInfo | undefined): void {
    if (slice) this.picture(channelOf(slice, this.channel)).catch(() => {});
  }

  /** The reader's own mask of a slice, if there is one. */
  async ownMask(slice: number): Promise<ClassMap | null> {
    const png = await bytes(`/slices/${slice}/masks`);
    return png && decodeClasses(png);
  }

  /** The slices of a case by their index; the second time at no cost. */
  slicesOf(name: string): Promise<Map<number, SliceInfo>> {
    const known = this.cases.get(name);
    if (known) return known;
    const params = (page: { limit: number; cursor?: number }) => ({
      path: { name: this.project },
      query: { case: name, ...page },
    });
    const loading = all((page) =>
      data(api.GET("/projects/{name}/slices", { params: params(page) })),
    ).then((slices) => new Map(slices.map((slice) => [slice.index, slice])));
    this.cases.set(name, loading);
    loading.catch(() => this.cases.delete(name));
    return loading;
  }
}
