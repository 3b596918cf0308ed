/** What the annotator holds: a tool, a class, a size. */

export const TOOLS = ["brush", "eraser", "polygon", "lasso", "fill", "grow", "accept"] as const;
export type Tool = (typeof TOOLS)[number];

export interface Hand {
  tool: Tool;
  /** The class that is painted; 0 is background. */
  value: number;
  /** The brush's diameter in pixels of the picture. */
  size: number;
  /** How far region growing goes in intensity, as a share of the window's width. */
  tolerance: number;
}

export const LARGEST_BRUSH = 200;
const SMALLEST_TOLERANCE = 0.005;

/** The size (or, of region growing, the tolerance) a step smaller (-1) or larger (1). */
export function adjusted(hand: Hand, direction: number): Partial<Hand> {
  if (hand.tool === "grow") {
    const tolerance = hand.tolerance * 1.25 ** direction;
    return { tolerance: Math.min(1, Math.max(SMALLEST_TOLERANCE, tolerance)) };
  }
  const step = Math.max(1, Math.round(hand.size * 0.15));
  return { size: Math.min(LARGEST_BRUSH, Math.max(1, hand.size + direction * step)) };
}
