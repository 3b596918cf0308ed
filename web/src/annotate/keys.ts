/** Which key does what; the help lists exactly these. */

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
export function isTyping(event: KeyboardEvent): boolean {
  const target = event.target as HTMLElement | null;
  if (target?.closest("dialog")) return true;
  return target instanceof HTMLInputElement
    ? target.type !== "range" && target.type !== "checkbox" && target.type !== "radio"
    : target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}
