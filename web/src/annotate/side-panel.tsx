/** What stands beside the annotator's board: class, display, why this slice, and what to do with it. */

import { useEffect, useState } from "preact/hooks";
import type { Batch, Item, Project } from "../api/client";
import type { OverlaySettings } from "../draw/compose";
import { DisplayPanel } from "../instruments/display-panel";
import { reason, SliceTitle } from "../instruments/slice-facts";
import { percent, Slider } from "../instruments/slider";
import { ToolPanel } from "../instruments/tool-panel";
import { t } from "../texts";
import { figure } from "../ui";
import type { LoadedSlice } from "./prepare";
import type { WorkspaceState } from "./state";
import type { Workspace } from "./workspace";

const text = t.annotate;

export function SidePanel(props: {
  project: Project;
  state: WorkspaceState;
  workspace: Workspace;
  disabled: boolean;
  onSkip: () => void;
}) {
  const { state, workspace, disabled } = props;
  const { controls } = workspace;
  const { current, batch } = state;
  return (
    <aside class="side" aria-label={text.title}>
      <ToolPanel
        classes={props.project.classes}
        tool={state.tool}
        onTool={(change) => controls.changeTool(change)}
      />
      <DisplayPanel
        view={state.view}
        channels={current?.loaded.channels ?? []}
        pointed={controls.pointed}
        controls={controls}
      />
      {current && <Why item={current.loaded.item} batch={batch} seconds={current.clock.seconds} />}
      <Overlays
        overlays={state.overlays}
        loaded={current?.loaded ?? null}
        onChange={(change) => controls.changeOverlays(change)}
      />
      <div class="actions">
        <button type="button" disabled={disabled} onClick={() => void workspace.submit(true)}>
          {text.blank} <kbd>N</kbd>
        </button>
        <button type="button" disabled={disabled || current?.revised} onClick={props.onSkip}>
          {text.skip} <kbd>S</kbd>
        </button>
        <button type="button" disabled={!state.canGoBack} onClick={() => void workspace.goBack()}>
          {text.back} <kbd>⌫</kbd>
        </button>
        <button
          type="button"
          class="main"
          disabled={disabled}
          onClick={() => void workspace.submit()}
        >
          {current?.revised ? text.submitRevision : text.submit} <kbd>Enter</kbd>
        </button>
      </div>
    </aside>
  );
}

function Overlays(props: {
  overlays: OverlaySettings;
  loaded: LoadedSlice | null;
  onChange: (change: Partial<OverlaySettings>) => void;
}) {
  const { overlays, loaded, onChange } = props;
  return (
    <fieldset>
      <legend>{text.overlays}</legend>
      <Slider
        label={text.maskOpacity}
        value={overlays.maskOpacity}
        min={0}
        max={1}
        step={0.05}
        shown={percent(overlays.maskOpacity)}
        onInput={(maskOpacity) => onChange({ maskOpacity })}
      />
      <label class="choice">
        <input
          type="checkbox"
          checked={overlays.suggestion}
          disabled={!loaded?.suggestion}
          onChange={(event) => onChange({ suggestion: event.currentTarget.checked })}
        />
        {text.suggestion} <kbd>O</kbd>
      </label>
      <Slider
        label={text.uncertainty}
        value={overlays.uncertaintyOpacity}
        min={0}
        max={1}
        step={0.05}
        shown={percent(overlays.uncertaintyOpacity)}
        disabled={!loaded?.uncertainty}
        onInput={(uncertaintyOpacity) => onChange({ uncertaintyOpacity })}
      />
      {loaded && !loaded.suggestion && <p class="small">{text.noSuggestion}</p>}
    </fieldset>
  );
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
      <SliceTitle slice={item} />
      <p>
        {reason(item.stream)} {t.instruments.rank(item.rank)}{" "}
        {item.score !== null && t.instruments.score(figure(item.score, 2))}
      </p>
      {batch?.exploring && <p class="small">{t.instruments.exploring(batch.exploring)}</p>}
      <p class="small">
        {batch?.round != null && `${t.instruments.roundNumber(batch.round)} · `}
        {batch && text.remaining(batch.remaining)}
        <br />
        {text.leaseLeft(minutes)} · {text.seconds(props.seconds)}
      </p>
    </section>
  );
}
