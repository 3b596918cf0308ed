/** The parts of the annotator's page around the board. */

import { useEffect, useState } from "preact/hooks";
import type { Batch, Item, Project } from "../api/client";
import type { Can } from "../draw/board";
import { colourOf } from "../draw/compose";
import { type Hand, TOOLS } from "../draw/hand";
import { PRESETS } from "../draw/window";
import { t } from "../texts";
import { Dialog, figure } from "../ui";
import type { Desk } from "./desk";
import { type Binding, printed } from "./keys";
import type { DeskState } from "./state";

const text = t.annotate;
const TOOL_KEYS = {
  brush: "B",
  eraser: "E",
  polygon: "P",
  lasso: "L",
  fill: "F",
  grow: "G",
  accept: "A",
};

export function Toolbar(props: {
  hand: Hand;
  onHand: (change: Partial<Hand>) => void;
  disabled: boolean;
  can: Can;
  drawing: { undo(): void; redo(): void; clear(): void };
  hasSuggestion?: boolean;
  onCopy?: () => void;
  onAcceptAll?: () => void;
  onHelp?: () => void;
}) {
  const { hand, disabled, can, drawing } = props;
  const tools = TOOLS.filter((tool) => tool !== "accept" || props.onAcceptAll);
  return (
    <div class="toolbar" role="toolbar" aria-label={text.toolbox} aria-orientation="vertical">
      {tools.map((tool) => (
        <button
          key={tool}
          type="button"
          aria-pressed={hand.tool === tool}
          title={text.toolHints[tool]}
          disabled={disabled || (tool === "accept" && !props.hasSuggestion)}
          onClick={() => props.onHand({ tool })}
        >
          {text.tools[tool]} <kbd>{TOOL_KEYS[tool]}</kbd>
        </button>
      ))}
      <hr />
      {props.onAcceptAll && (
        <button
          type="button"
          disabled={disabled || !props.hasSuggestion}
          onClick={props.onAcceptAll}
        >
          {text.acceptAll} <kbd>⇧A</kbd>
        </button>
      )}
      <button type="button" disabled={disabled || !can.undo} onClick={() => drawing.undo()}>
        {text.undo} <kbd>Z</kbd>
      </button>
      <button type="button" disabled={disabled || !can.redo} onClick={() => drawing.redo()}>
        {text.redo} <kbd>Y</kbd>
      </button>
      {props.onCopy && (
        <button type="button" disabled={disabled} onClick={props.onCopy}>
          {text.copy} <kbd>C</kbd>
        </button>
      )}
      <button type="button" disabled={disabled} onClick={() => drawing.clear()}>
        {text.clear} <kbd>Del</kbd>
      </button>
      {props.onHelp && (
        <>
          <hr />
          <button type="button" onClick={props.onHelp}>
            {text.help} <kbd>?</kbd>
          </button>
        </>
      )}
    </div>
  );
}

function Slider(props: {
  label: string;
  value: number;
  min: number;
  max: number;
  step: number;
  shown: string;
  disabled?: boolean;
  onInput: (value: number) => void;
}) {
  return (
    <label class="slider">
      <span>
        {props.label} <output>{props.shown}</output>
      </span>
      <input
        type="range"
        min={props.min}
        max={props.max}
        step={props.step}
        value={props.value}
        disabled={props.disabled ?? false}
        onInput={(event) => props.onInput(event.currentTarget.valueAsNumber)}
      />
    </label>
  );
}

const percent = (share: number): string => `${Math.round(share * 100)} %`;

/** The class that is painted, and how large or how far. */
export function HandPanel(props: {
  classes: string[];
  hand: Hand;
  onHand: (change: Partial<Hand>) => void;
}) {
  const { classes, hand } = props;
  return (
    <>
      <fieldset>
        <legend>{text.classes}</legend>
        {classes.slice(1).map((name, place) => (
          <label key={name} class="choice">
            <input
              type="radio"
              name="class"
              checked={hand.value === place + 1}
              onChange={() => props.onHand({ value: place + 1 })}
            />
            <Swatch index={place + 1} />
            {name} {place < 9 && <kbd>{place + 1}</kbd>}
          </label>
        ))}
      </fieldset>
      {hand.tool === "grow" ? (
        <Slider
          label={text.tolerance}
          value={hand.tolerance}
          min={0.005}
          max={1}
          step={0.005}
          shown={percent(hand.tolerance)}
          onInput={(tolerance) => props.onHand({ tolerance })}
        />
      ) : (
        <Slider
          label={text.size}
          value={hand.size}
          min={1}
          max={Math.max(100, hand.size)}
          step={1}
          shown={text.pixels(hand.size)}
          onInput={(size) => props.onHand({ size })}
        />
      )}
    </>
  );
}

export function SidePanel(props: {
  project: Project;
  state: DeskState;
  desk: Desk;
  disabled: boolean;
  onSkip: () => void;
}) {
  const { state, desk, disabled } = props;
  const { current, batch, hand, looks } = state;
  const item = current?.ready.item;
  return (
    <aside class="side" aria-label={text.title}>
      <HandPanel
        classes={props.project.classes}
        hand={hand}
        onHand={(change) => desk.changeHand(change)}
      />
      <fieldset>
        <legend>{text.window}</legend>
        <div class="presets">
          {Object.keys(PRESETS).map((name) => (
            <button
              key={name}
              type="button"
              aria-pressed={state.preset === name}
              disabled={!current}
              onClick={() => desk.usePreset(name)}
            >
              {text.presets[name as keyof typeof text.presets]}
            </button>
          ))}
        </div>
        <p class="small">
          {text.level} {Math.round(looks.window.level)} · {text.width}{" "}
          {Math.round(looks.window.width)}
        </p>
      </fieldset>
      <fieldset>
        <legend>{text.overlays}</legend>
        <Slider
          label={text.maskOpacity}
          value={looks.maskOpacity}
          min={0}
          max={1}
          step={0.05}
          shown={percent(looks.maskOpacity)}
          onInput={(maskOpacity) => desk.changeLooks({ maskOpacity })}
        />
        <label class="choice">
          <input
            type="checkbox"
            checked={looks.suggestion}
            disabled={!current?.ready.suggestion}
            onChange={(event) => desk.changeLooks({ suggestion: event.currentTarget.checked })}
          />
          {text.suggestion} <kbd>O</kbd>
        </label>
        <Slider
          label={text.uncertainty}
          value={looks.uncertaintyOpacity}
          min={0}
          max={1}
          step={0.05}
          shown={percent(looks.uncertaintyOpacity)}
          disabled={!current?.ready.uncertainty}
          onInput={(uncertaintyOpacity) => desk.changeLooks({ uncertaintyOpacity })}
        />
        {current && !current.ready.suggestion && <p class="small">{text.noSuggestion}</p>}
      </fieldset>
      {item && <Why item={item} batch={batch} seconds={current.clock.seconds} />}
      <div class="actions">
        <button type="button" disabled={disabled} onClick={() => void desk.markBlank()}>
          {text.blank} <kbd>N</kbd>
        </button>
        <button type="button" disabled={disabled || current?.revised} onClick={props.onSkip}>
          {text.skip} <kbd>S</kbd>
        </button>
        <button type="button" disabled={!state.canGoBack} onClick={() => void desk.goBack()}>
          {text.back} <kbd>⌫</kbd>
        </button>
        <button type="button" class="main" disabled={disabled} onClick={() => void desk.submit()}>
          {current?.revised ? text.submitRevision : text.submit} <kbd>Enter</kbd>
        </button>
      </div>
    </aside>
  );
}

/** A class's colour; CSS gives each index its own. */
export function Swatch(props: { index: number }) {
  const [r, g, b] = colourOf(props.index);
  return (
    <svg class="swatch" viewBox="0 0 10 10" aria-hidden="true">
      <rect width="10" height="10" fill={`rgb(${r} ${g} ${b})`} />
    </svg>
  );
}

/** What asked for the slice, in words. */
export function reason(stream: string): string {
  return text.streams[stream] ?? text.streamOther(stream);
}

function Why(props: { item: Item; batch: Batch | null; seconds: number }) {
  const { item, batch } = props;
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 10_000);
    return () => clearInterval(timer);
  }, []);
  const minutes = Math.max(0, Math.floor((Date.parse(item.lease.expires_at) - now) / 60_000));
  return (
    <section class="why" aria-label={text.why}>
      <h2>{text.slice(item.case, item.index)}</h2>
      <p>
        {reason(item.stream)} {text.rank(item.rank)}{" "}
        {item.score !== null && text.score(figure(item.score, 2))}
      </p>
      <p class="small">
        {batch?.round != null && `${text.roundNumber(batch.round)} · `}
        {batch && text.remaining(batch.remaining)}
        <br />
        {text.leaseLeft(minutes)} · {text.seconds(props.seconds)}
      </p>
    </section>
  );
}

export function Notices(props: {
  state: DeskState;
  onDiscard: () => void;
  onRefusalsRead: () => void;
}) {
  const { outbox, offset, restoredAt, leaseLost, refusals } = props.state;
  const returned = props.state.current?.ready.item.returned;
  const notice = offset !== 0 ? text.neighbour(offset) : props.state.notice;
  return (
    <div class="notices" aria-live="polite" data-unsent={outbox.waiting}>
      {returned && (
        <p class="warning">
          <strong>{text.returned}</strong> {returned.comment}
          <br />
          {text.returnedDrawing}
        </p>
      )}
      {restoredAt !== null && (
        <p>
          {text.restored(new Date(restoredAt).toLocaleTimeString())}{" "}
          <button type="button" onClick={props.onDiscard}>
            {text.discard}
          </button>
        </p>
      )}
      {leaseLost && <p class="warning">{text.leaseLost}</p>}
      {!outbox.reachable && <p class="warning">{text.offline}</p>}
      {outbox.waiting > 0 && !outbox.reachable && <p>{text.unsent(outbox.waiting)}</p>}
      {refusals.map((refusal) => (
        <p key={refusal} class="warning" role="alert">
          {refusal}{" "}
          <button type="button" onClick={props.onRefusalsRead}>
            {t.close}
          </button>
        </p>
      ))}
      {notice && <p>{notice}</p>}
    </div>
  );
}

export function SkipDialog(props: { onSkip: (reason: string) => void; onClose: () => void }) {
  const [other, setOther] = useState("");
  return (
    <Dialog title={text.skipTitle} onClose={props.onClose}>
      <p>{text.skipHint}</p>
      <div class="reasons">
        {text.skipReasons.map((why) => (
          <button key={why} type="button" onClick={() => props.onSkip(why)}>
            {why}
          </button>
        ))}
      </div>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (other.trim()) props.onSkip(other.trim());
        }}
      >
        <label>
          {text.skipOther}
          <input
            maxLength={1000}
            value={other}
            onInput={(event) => setOther(event.currentTarget.value)}
          />
        </label>
        <button type="submit" class="main" disabled={!other.trim()}>
          {text.skipSubmit}
        </button>
      </form>
    </Dialog>
  );
}

export function HelpDialog(props: { bindings: Binding[]; onClose: () => void }) {
  return (
    <Dialog title={text.keysTitle} onClose={props.onClose}>
      <div class="keys">
        <dl>
          {props.bindings.map(({ keys, text: meaning }) => (
            <div key={keys[0]}>
              <dt>
                <kbd>{printed(keys[0])}</kbd>
              </dt>
              <dd>{meaning}</dd>
            </div>
          ))}
        </dl>
        <dl>
          {text.pointerKeys.map(([what, meaning]) => (
            <div key={what}>
              <dt>{what}</dt>
              <dd>{meaning}</dd>
            </div>
          ))}
        </dl>
      </div>
    </Dialog>
  );
}
