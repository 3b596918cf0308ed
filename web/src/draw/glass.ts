/** What lies over the picture: the brush's circle, and the outline that is being drawn. */

import { colourOf } from "./compose";
import type { Hand } from "./hand";
import type { Point } from "./tools";
import { toScreen, type View } from "./view";

/** An outline in picture coordinates; `open` when the pointer draws its next side. */
export interface Outline {
  corners: Point[];
  open: boolean;
}

/** Draw over an empty glass. `pointer` is in device pixels; null where it is elsewhere. */
export function drawGlass(
  glass: CanvasRenderingContext2D,
  hand: Hand,
  view: View,
  pointer: Point | null,
  outline: Outline,
): void {
  const ratio = window.devicePixelRatio;
  const [r, g, b] = hand.value > 0 ? colourOf(hand.value) : [255, 255, 255];
  glass.lineWidth = ratio;
  glass.strokeStyle = hand.tool === "eraser" ? "#fff" : `rgb(${r} ${g} ${b})`;
  if (outline.corners.length > 0) {
    const places = outline.corners.map((corner) => toScreen(view, corner));
    glass.beginPath();
    for (const { x, y } of places) glass.lineTo(x, y);
    if (pointer && outline.open) glass.lineTo(pointer.x, pointer.y);
    glass.stroke();
    const [start] = places;
    glass.strokeRect(start.x - 3 * ratio, start.y - 3 * ratio, 6 * ratio, 6 * ratio);
  }
  if (pointer && (hand.tool === "brush" || hand.tool === "eraser")) {
    glass.beginPath();
    glass.arc(pointer.x, pointer.y, Math.max((hand.size * view.scale) / 2, 1), 0, 2 * Math.PI);
    glass.stroke();
  }
}
