/** Which key does what; the help lists exactly these. */

import { useEffect, useRef } from "preact/hooks";
import type { Hand } from "../draw/board";
import { t } from "../texts";

export interface Binding {
  /** As `event.key` says it, lower case; "mod+" for Ctrl or Cmd, "shift+" for Shift. */
  keys: string[];
  text: string;
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

/** What keys can ask the annotator's page for. */
export interface Actions {
  hand: (change: Partial<Hand>) => void;
  /** Make the brush or the tolerance smaller (-1) or larger (1). */
  adjust: (direction: number) => void;
  acceptAll: () => void;
  undo: () => void;
  redo: () => void;
  copy: () => void;
  clear: () => void;
  blank: () => void;
  skip: () => void;
  /** Close the polygon that is begun; without one, submit. */
  finish: () => void;
  back: () => void;
  escape: () => void;
  /** Look at a neighbour, so many slices on; 0 is the slice that is drawn on. */
  look: (by: number) => void;
  fit: () => void;
  zoom: (factor: number) => void;
  nextPreset: () => void;
  toggleMask: () => void;
  toggleSuggestion: () => void;
  toggleUncertainty: () => void;
  help: () => void;
}

/** The keys of the annotator's page; classes are the project's, background first. */
export function bindingsOf(classes: string[], act: Actions): Binding[] {
  const { tools, toolHints, keys } = t.annotate;
  return [
    { keys: ["b"], text: tools.brush, run: () => act.hand({ tool: "brush" }) },
    { keys: ["e"], text: tools.eraser, run: () => act.hand({ tool: "eraser" }) },
    { keys: ["p"], text: toolHints.polygon, run: () => act.hand({ tool: "polygon" }) },
    { keys: ["l"], text: tools.lasso, run: () => act.hand({ tool: "lasso" }) },
    { keys: ["f"], text: toolHints.fill, run: () => act.hand({ tool: "fill" }) },
    { keys: ["g"], text: toolHints.grow, run: () => act.hand({ tool: "grow" }) },
    { keys: ["a"], text: toolHints.accept, run: () => act.hand({ tool: "accept" }) },
    { keys: ["shift+a"], text: t.annotate.acceptAll, run: act.acceptAll },
    ...classes.slice(1, 10).map((name, place) => ({
      keys: [String(place + 1)],
      text: name,
      run: () => act.hand({ value: place + 1 }),
    })),
    { keys: ["["], text: keys.smaller, run: () => act.adjust(-1) },
    { keys: ["]"], text: keys.larger, run: () => act.adjust(1) },
    { keys: ["z", "mod+z"], text: t.annotate.undo, run: act.undo },
    { keys: ["y", "mod+y", "mod+shift+z", "shift+z"], text: t.annotate.redo, run: act.redo },
    { keys: ["c"], text: t.annotate.copy, run: act.copy },
    { keys: ["delete"], text: t.annotate.clear, run: act.clear },
    { keys: ["n"], text: keys.blank, run: act.blank },
    { keys: ["s"], text: t.annotate.skip, run: act.skip },
    { keys: ["enter"], text: keys.finish, run: act.finish },
    { keys: ["backspace"], text: t.annotate.back, run: act.back },
    { keys: ["escape"], text: keys.escape, run: act.escape },
    { keys: ["arrowup"], text: keys.previous, run: () => act.look(-1) },
    { keys: ["arrowdown"], text: keys.next, run: () => act.look(1) },
    { keys: ["0"], text: keys.home, run: () => act.look(0) },
    { keys: ["r"], text: keys.fit, run: act.fit },
    { keys: ["+", "="], text: keys.zoomIn, run: () => act.zoom(1.25) },
    { keys: ["-"], text: keys.zoomOut, run: () => act.zoom(0.8) },
    { keys: ["w"], text: keys.nextPreset, run: act.nextPreset },
    { keys: ["h"], text: keys.toggleMask, run: act.toggleMask },
    { keys: ["o"], text: keys.toggleSuggestion, run: act.toggleSuggestion },
    { keys: ["u"], text: keys.toggleUncertainty, run: act.toggleUncertainty },
    { keys: ["?"], text: t.annotate.help, run: act.help },
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
