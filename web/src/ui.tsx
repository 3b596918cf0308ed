/** Small pieces that several pages use. */

import type { ComponentChildren } from "preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { t } from "./texts";

/** What a page waits for: its value, an error in words, or neither yet. */
export interface Loaded<T> {
  value: T | null;
  error: string | null;
  reload: () => Promise<void>;
}

/** Load on mount, when `key` changes, and whenever asked; an older answer never wins. */
export function useLoaded<T>(load: () => Promise<T>, key: unknown): Loaded<T> {
  const [value, setValue] = useState<T | null>(null);
  const [error, setError] = useState<string | null>(null);
  const turn = useRef(0);
  const latest = useRef(load);
  latest.current = load;
  const reload = useCallback(async () => {
    const mine = ++turn.current;
    try {
      const found = await latest.current();
      if (mine === turn.current) {
        setValue(found);
        setError(null);
      }
    } catch (failure) {
      if (mine === turn.current)
        setError(failure instanceof Error ? failure.message : String(failure));
    }
  }, []);
  useEffect(() => {
    setValue(null);
    void reload();
    return () => {
      turn.current++;
    };
  }, [key, reload]);
  return { value, error, reload };
}

/** Call again and again while the component is shown and the page is looked at. */
export function useRepeat(action: () => void, seconds: number): void {
  const latest = useRef(action);
  latest.current = action;
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) latest.current();
    }, seconds * 1000);
    return () => clearInterval(timer);
  }, [seconds]);
}

/** A titled part of a page. */
export function Panel(props: { title: string; children: ComponentChildren; wide?: boolean }) {
  return (
    <section class={props.wide ? "panel wide" : "panel"} aria-label={props.title}>
      <h2>{props.title}</h2>
      {props.children}
    </section>
  );
}

/** A modal dialog; Escape and the close button end it. */
export function Dialog(props: { title: string; onClose: () => void; children: ComponentChildren }) {
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    element.current?.showModal();
  }, []);
  return (
    <dialog ref={element} onClose={props.onClose} aria-label={props.title}>
      <header>
        <h2>{props.title}</h2>
        <button type="button" class="quiet" onClick={() => element.current?.close()}>
          {t.close}
        </button>
      </header>
      {props.children}
    </dialog>
  );
}

/** An error with a way to try again. */
export function Failure(props: { error: string; retry?: () => void }) {
  return (
    <p class="failure" role="alert">
      {props.error}{" "}
      {props.retry && (
        <button type="button" onClick={props.retry}>
          {t.tryAgain}
        </button>
      )}
    </p>
  );
}

/** A number with three digits behind the point, or a dash. */
export function figure(value: number | null | undefined, digits = 3): string {
  return value === null || value === undefined ? "–" : value.toFixed(digits);
}

/** An error's words. */
export function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
