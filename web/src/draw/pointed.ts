/** The pixel under the pointer, and the value that the file has there. */

import { inside } from "./editor";
import { fileValue, type GrayPicture } from "./pixels";
import type { Point } from "./tools";
import { toPicture, type View } from "./view";

export interface Pointed {
  column: number;
  row: number;
  /** In the file's own unit. */
  value: number;
}

/** The pixel at a place of the screen; null beside the picture. */
export function pixelAt(picture: GrayPicture, view: View, at: Point): Pointed | null {
  const place = toPicture(view, at);
  if (!inside(picture, place)) return null;
  const [column, row] = [Math.floor(place.x), Math.floor(place.y)];
  return { column, row, value: fileValue(picture, picture.values[row * picture.width + column]) };
}
