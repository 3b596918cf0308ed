/** A case or the whole project gone for good: first what would go, then its name typed. */

import { useState } from "preact/hooks";
import { ask, type Deletion } from "../api/client";
import { t } from "../texts";
import { Failure, Panel, words } from "../ui";
import { sizeWords } from "./transfer";

const text = t.deletion;

export function DeletePanel(props: { project: string; onDeleted: () => void }) {
  const { project } = props;
  const [name, setName] = useState("");
  const [typed, setTyped] = useState("");
  const [found, setFound] = useState<Deletion | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const base = `/projects/${encodeURIComponent(project)}`;
  const path = name.trim() ? `${base}/cases/${encodeURIComponent(name.trim())}` : base;
  const send = async (confirm: string | null) => {
    setBusy(true);
    try {
      const query = confirm === null ? "" : `?${new URLSearchParams({ confirm })}`;
      setFound(await ask<Deletion>("DELETE", path + query));
      setTyped("");
      setError(null);
      if (confirm !== null) props.onDeleted();
    } catch (failure) {
      setError(words(failure));
    } finally {
      setBusy(false);
    }
  };
  return (
    <Panel title={text.title}>
      <p class="small">{text.hint}</p>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void send(null);
        }}
      >
        <div class="fields">
          <label>
            <span class="small">{text.case}</span>
            <input
              name="case"
              placeholder={text.wholeProject}
              value={name}
              onInput={(event) => {
                setName(event.currentTarget.value);
                setFound(null);
              }}
            />
          </label>
        </div>
        <button type="submit" disabled={busy}>
          {text.look}
        </button>
      </form>
      {error && <Failure error={error} />}
      {found && <Counts found={found} />}
      {found && !found.deleted && (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            void send(typed);
          }}
        >
          <div class="fields">
            <label>
              <span class="small">{text.type(found.confirm)}</span>
              <input
                name="confirm"
                autocomplete="off"
                value={typed}
                onInput={(event) => setTyped(event.currentTarget.value)}
              />
            </label>
          </div>
          <button type="submit" class="main" disabled={busy || typed !== found.confirm}>
            {text.submit(found.confirm)}
          </button>
        </form>
      )}
    </Panel>
  );
}

function Counts(props: { found: Deletion }) {
  const { deleted, confirm, counts, bytes, models } = props.found;
  const rows = Object.entries(counts).filter(([, count]) => count > 0);
  return (
    <div role="status">
      <p>{deleted ? text.gone(confirm) : text.wouldGo(confirm)}</p>
      <ul>
        {rows.map(([what, count]) => (
          <li key={what}>
            {count} {text.counts[what] ?? what.replaceAll("_", " ")}
          </li>
        ))}
        {bytes ? <li>{sizeWords(bytes)}</li> : null}
      </ul>
      {models.length > 0 && <p>{text.learned(models.map(({ number }) => number))}</p>}
    </div>
  );
}
