/** Data sets in and out, as archives. */

import { useRef, useState } from "preact/hooks";
import { type ImportResult, post } from "../api/client";
import { t } from "../texts";
import { Failure, Panel, words } from "../ui";

const text = t.dashboard;

const LAYOUTS = ["msd", "brats", "nifti", "dicom", "png"];

export function ImportPanel(props: { project: string | null; onDone: () => void }) {
  const file = useRef<HTMLInputElement>(null);
  const [name, setName] = useState(props.project ?? "");
  const [layout, setLayout] = useState(LAYOUTS[0]);
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
          <label>
            <span class="small">{text.layout}</span>
            <select value={layout} onChange={(event) => setLayout(event.currentTarget.value)}>
              {LAYOUTS.map((one) => (
                <option key={one}>{one}</option>
              ))}
            </select>
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
        <button type="submit" class="main" disabled={busy}>
          {busy ? text.importing : text.importSubmit}
        </button>
      </form>
      {error && <Failure error={error} />}
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
