/** Which tool draws, and how: the class it paints, its size, its tolerance. */

export const TOOLS = ["brush", "eraser", "polygon", "lasso", "fill", "grow", "accept"] as const;
export type Tool = (typeof TOOLS)[number];

export interface ToolSettings {
  kind: Tool;
  /** The class that is painted; 0 is background. */
  value: number;
  /** The brush's diameter in pixels of the picture; see `brushExtent` where they are not square. */
  size: number;
  /** How far region growing goes in intensity, as a share of the window's width. */
  tolerance: number;
}

export const LARGEST_BRUSH = 200;
const SMALLEST_TOLERANCE = 0.005;

/** The size (or, of region growing, the tolerance) a step smaller (-1) or larger (1). */
export function adjusted(tool: ToolSettings, direction: number): Partial<ToolSettings> {
  if (tool.kind === "grow") {
    const tolerance = tool.tolerance * 1.25 ** direction;
    return { tolerance: Math.min(1, Math.max(SMALLEST_TOLERANCE, tolerance)) };
  }
  const step = Math.max(1, Math.round(tool.size * 0.15));
  return { size: Math.min(LARGEST_BRUSH, Math.max(1, tool.size + direction * step)) };
}
