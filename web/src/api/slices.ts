/** What the server says of a slice's channels and place, with defaults where it says nothing. */

/** One of a slice's pictures, and how its stored values become the file's own. */
export interface Channel {
  name: string;
  /** Where its picture is. */
  image: string;
  slope: number;
  intercept: number;
  /** "HU" for CT; null where the numbers have no unit. */
  unit: string | null;
}

/** The direction of the body that each edge shows: R, L, A, P, S or I. */
export interface Orientation {
  left: string;
  right: string;
  top: string;
  bottom: string;
}

/** The part of a slice, query item or review item that is read here. */
export interface Described {
  image: string;
  channels?:
    | readonly {
        name: string;
        image: string;
        offset?: number;
        slope?: number;
        intercept?: number;
        unit?: string | null;
      }[]
    | null;
  spacing?: { row: number; column: number; slice: number } | null;
  orientation?: Orientation | null;
  plane?: string | null;
}

/** The channels of a slice, in the project's order: one at least. */
export function channelsOf(slice: Described): Channel[] {
  const found = slice.channels ?? [];
  const given = found.length > 0 ? found : [{ name: "image", image: slice.image }];
  return given.map(({ offset = 0, slope = 1, intercept = 0, unit = null, ...rest }) => ({
    ...rest,
    slope,
    // The file's value is (stored + offset) · slope + intercept: shown, the short form will do.
    intercept: offset * slope + intercept,
    unit,
  }));
}

/** The channel of that name; the first where the slice has none of that name. */
export function channelOf(slice: Described, name: string | null): Channel {
  const channels = channelsOf(slice);
  return channels.find((channel) => channel.name === name) ?? channels[0];
}

/** The height of a slice's pixels over their width; 1 where nothing is known. */
export function aspectOf({ spacing }: Described): number {
  const aspect = spacing ? spacing.row / spacing.column : 1;
  return Number.isFinite(aspect) && aspect > 0 ? aspect : 1;
}
