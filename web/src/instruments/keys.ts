/** Which key does what; the help lists exactly these. */

import { useEffect, useRef } from "preact/hooks";
import type { ToolSettings } from "../draw/tool-settings";
import { t } from "../texts";

export interface Binding {
  /** As `event.key` says it, lower case; "mod+" for Ctrl or Cmd, "shift+" for Shift. */
  keys: string[];
  text: string;
  /** Held down, it counts once: what it does to a slice must not be done to the next unseen. */
  once?: true;
  run: () => void;
}

/** The name of a pressed key in the notation of bindings. */
export function nameOf(event: KeyboardEvent): string {
  const key = event.key === " " ? "space" : event.key.toLowerCase();
  const mod = event.ctrlKey || event.metaKey ? "mod+" : "";
  // Shift is part of what a printed sign is, so it is named only where it is not.
  const shift = event.shiftKey && (key.length > 1 || mod || /[a-z]/.test(key)) ? "shift+" : "";
  return `${mod}${shift}${key}`;
}

/** How a key is printed for people. */
export function printed(key: string): string {
  return key
    .split("+")
    .map((part) => NAMES[part] ?? (part.length === 1 ? part.toUpperCase() : part))
    .join(" + ");
}

const NAMES: Record<string, string> = {
  mod: "Ctrl",
  shift: "Shift",
  arrowup: "↑",
  arrowdown: "↓",
  backspace: "Backspace",
  delete: "Delete",
  enter: "Enter",
  escape: "Esc",
  "": "+",
};

/** Whether the key belongs to a field that is typed in. */
function isTyping(event: KeyboardEvent): boolean {
  const target = event.target as HTMLElement | null;
  if (target?.closest("dialog")) return true;
  return target instanceof HTMLInputElement
    ? target.type !== "range" && target.type !== "checkbox" && target.type !== "radio"
    : target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}

/** Keys for the tools and classes; classes are the project's, background first. */
export function toolBindings(
  classes: string[],
  change: (change: Partial<ToolSettings>) => void,
  adjust: (direction: number) => void,
): Binding[] {
  const { tools, toolHints, keys } = t.instruments;
  return [
    { keys: ["b"], text: tools.brush, run: () => change({ kind: "brush" }) },
    { keys: ["e"], text: tools.eraser, run: () => change({ kind: "eraser" }) },
    { keys: ["p"], text: toolHints.polygon, run: () => change({ kind: "polygon" }) },
    { keys: ["l"], text: tools.lasso, run: () => change({ kind: "lasso" }) },
    { keys: ["f"], text: toolHints.fill, run: () => change({ kind: "fill" }) },
    { keys: ["g"], text: toolHints.grow, run: () => change({ kind: "grow" }) },
    ...classes.slice(1, 10).map((name, place) => ({
      keys: [String(place + 1)],
      text: name,
      run: () => change({ value: place + 1 }),
    })),
    { keys: ["["], text: keys.smaller, run: () => adjust(-1) },
    { keys: ["]"], text: keys.larger, run: () => adjust(1) },
  ];
}

/** Keys for the steps of a drawing. */
export function stepBindings(drawing: {
  undo(): void;
  redo(): void;
  clear(): void;
  escape(): void;
}): Binding[] {
  const { undo, redo, clear, keys } = t.instruments;
  return [
    { keys: ["z", "mod+z"], text: undo, run: () => drawing.undo() },
    { keys: ["y", "mod+y", "mod+shift+z", "shift+z"], text: redo, run: () => drawing.redo() },
    { keys: ["delete"], text: clear, run: () => drawing.clear() },
    { keys: ["escape"], text: keys.escape, run: () => drawing.escape() },
  ];
}

/** Keys for the windows of CT: a letter of each one's English name. */
export const CT_KEYS: Record<string, string> = {
  brain: "shift+b",
  subdural: "shift+d",
  bone: "shift+o",
  lung: "shift+l",
  abdomen: "shift+m",
  liver: "shift+v",
};

/** Keys for the view of a picture. */
export function viewBindings(view: {
  look(by: number): void;
  fit(): void;
  zoom(factor: number): void;
  usePreset(name: string): void;
  nextPreset(): void;
  nextChannel(): void;
}): Binding[] {
  const { keys, presets } = t.instruments;
  return [
    { keys: ["arrowup"], text: keys.previous, run: () => view.look(-1) },
    { keys: ["arrowdown"], text: keys.next, run: () => view.look(1) },
    { keys: ["0"], text: keys.home, run: () => view.look(0) },
    { keys: ["r"], text: keys.fit, run: () => view.fit() },
    { keys: ["+", "="], text: keys.zoomIn, run: () => view.zoom(1.25) },
    { keys: ["-"], text: keys.zoomOut, run: () => view.zoom(0.8) },
    { keys: ["w"], text: keys.nextPreset, run: () => view.nextPreset() },
    ...Object.entries(CT_KEYS).map(([name, key]) => ({
      keys: [key],
      text: keys.ctWindow(presets[name]),
      run: () => view.usePreset(name),
    })),
    { keys: ["m"], text: keys.nextChannel, run: () => view.nextChannel() },
  ];
}

/** Listen to the keyboard while the page is shown. */
export function useKeys(
  bindings: Binding[],
  page: { used?: () => void; space?: (held: boolean) => void } = {},
): void {
  const latest = useRef({ bindings, page });
  latest.current = { bindings, page };
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (isTyping(event)) return;
      const onButton = event.target instanceof HTMLButtonElement;
      if (event.key === " " && !onButton) {
        latest.current.page.space?.(true);
        event.preventDefault();
        return;
      }
      const name = nameOf(event);
      // Enter on a button that has the focus presses that button.
      if (name === "enter" && onButton) return;
      const binding = latest.current.bindings.find(({ keys }) => keys.includes(name));
      if (!binding) return;
      event.preventDefault();
      if (event.repeat && binding.once) return;
      latest.current.page.used?.();
      binding.run();
    };
    const released = (event: KeyboardEvent) => {
      if (event.key === " ") latest.current.page.space?.(false);
    };
    window.addEventListener("keydown", pressed);
    window.addEventListener("keyup", released);
    return () => {
      window.removeEventListener("keydown", pressed);
      window.removeEventListener("keyup", released);
    };
  }, []);
}
