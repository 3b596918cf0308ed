/** Data sets in and out, as archives. */

import { useRef, useState } from "preact/hooks";
import { api, data, type ImportResult, post } from "../api/client";
import { t } from "../texts";
import { Failure, Panel, useLoaded, words } from "../ui";
import { EntryField } from "./choice";

const text = t.dashboard;

export function ImportPanel(props: { project: string | null; onDone: () => void }) {
  const file = useRef<HTMLInputElement>(null);
  const [name, setName] = useState(props.project ?? "");
  const catalogue = useLoaded(() => data(api.GET("/catalogue")), "catalogue");
  const layouts = catalogue.value?.layouts ?? [];
  const [chosen, setChosen] = useState("");
  const layout = chosen || (layouts.find(({ error }) => !error)?.name ?? "");
  const [channels, setChannels] = useState("");
  const [masks, setMasks] = useState("");
  const [busy, setBusy] = useState(false);
  const [result, setResult] = useState<ImportResult | null>(null);
  const [error, setError] = useState<string | null>(null);
  const send = async () => {
    const archive = file.current?.files?.[0];
    if (!archive) return;
    setBusy(true);
    setResult(null);
    try {
      const query = new URLSearchParams({ layout, ...(masks ? { masks } : {}) });
      for (const channel of namesIn(channels)) query.append("channel", channel);
      const path = `/projects/${encodeURIComponent(name)}/imports?${query}`;
      setResult(await post<ImportResult>(path, archive, "application/zip"));
      setError(null);
      props.onDone();
    } catch (failure) {
      setError(words(failure));
    } finally {
      setBusy(false);
    }
  };
  return (
    <Panel title={text.import}>
      <p class="small">{text.importHint}</p>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void send();
        }}
      >
        <div class="fields">
          <label>
            <span class="small">{text.newProject}</span>
            <input
              name="project"
              required
              value={name}
              onInput={(event) => setName(event.currentTarget.value)}
            />
          </label>
          <EntryField label={text.layout} entries={layouts} value={layout} onChange={setChosen} />
          <label title={text.channelsHint}>
            <span class="small">{text.channels}</span>
            <input
              name="channels"
              placeholder={text.channelsExample}
              value={channels}
              onInput={(event) => setChannels(event.currentTarget.value)}
            />
          </label>
          <label>
            <span class="small">{text.masks}</span>
            <select value={masks} onChange={(event) => setMasks(event.currentTarget.value)}>
              <option value="">{text.masksNone}</option>
              <option value="pool">{text.masksPool}</option>
              <option value="oracle">{text.masksOracle}</option>
            </select>
          </label>
          <label>
            <span class="small">{text.archive}</span>
            <input type="file" accept=".zip" required ref={file} />
          </label>
        </div>
        <button type="submit" class="main" disabled={busy || !layout}>
          {busy ? text.importing : text.importSubmit}
        </button>
      </form>
      {(error ?? catalogue.error) && <Failure error={(error ?? catalogue.error)!} />}
      {result && (
        <p role="status">
          {text.imported(result.cases, result.new_slices, result.known_slices)}
          {Object.keys(result.refused).length > 0 && (
            <>
              {" "}
              {text.leftOut}{" "}
              {Object.entries(result.refused)
                .map(([one, why]) => `${one}: ${why}`)
                .join("; ")}
            </>
          )}
        </p>
      )}
    </Panel>
  );
}

/** The names in a list that commas divide. */
export function namesIn(list: string): string[] {
  return list
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
}

export function ExportPanel(props: { project: string }) {
  return (
    <Panel title={text.export}>
      <p class="small">{text.exportHint}</p>
      <a href={`/projects/${encodeURIComponent(props.project)}/export`} download>
        {text.exportSubmit}
      </a>
    </Panel>
  );
}
