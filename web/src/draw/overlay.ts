/** What lies over the picture: the brush's circle, and the outline that is being drawn. */

import { colourOf } from "./compose";
import type { ToolSettings } from "./tool-settings";
import { brushExtent, type Point } from "./tools";
import { toScreen, type View } from "./view";

/** An outline in picture coordinates; `open` when the pointer draws its next side. */
export interface Outline {
  corners: Point[];
  open: boolean;
}

/** Draw on an empty canvas above the picture. `pointer` is in device pixels; null where it is elsewhere. */
export function drawOverlay(
  canvas: CanvasRenderingContext2D,
  tool: ToolSettings,
  view: View,
  pointer: Point | null,
  outline: Outline,
): void {
  const ratio = window.devicePixelRatio;
  const [r, g, b] = tool.value > 0 ? colourOf(tool.value) : [255, 255, 255];
  canvas.lineWidth = ratio;
  canvas.strokeStyle = tool.kind === "eraser" ? "#fff" : `rgb(${r} ${g} ${b})`;
  if (outline.corners.length > 0) {
    const places = outline.corners.map((corner) => toScreen(view, corner));
    canvas.beginPath();
    for (const { x, y } of places) canvas.lineTo(x, y);
    if (pointer && outline.open) canvas.lineTo(pointer.x, pointer.y);
    canvas.stroke();
    const [start] = places;
    canvas.strokeRect(start.x - 3 * ratio, start.y - 3 * ratio, 6 * ratio, 6 * ratio);
  }
  if (pointer && (tool.kind === "brush" || tool.kind === "eraser")) {
    const { across, down } = brushExtent(tool.size, view.aspect);
    const wide = Math.max((across * view.scale) / 2, 1);
    const tall = Math.max((down * view.scale * view.aspect) / 2, 1);
    canvas.beginPath();
    canvas.ellipse(pointer.x, pointer.y, wide, tall, 0, 0, 2 * Math.PI);
    canvas.stroke();
  }
}
