/** A data set in, as an archive: checked first, if wanted, then imported; both can be watched. */

import { useRef, useState } from "preact/hooks";
import { api, data, type Transfer, Unreachable, upload } from "../api/client";
import { t } from "../texts";
import { Failure, Panel, useLoaded, words } from "../ui";
import { EntryField } from "./choice";
import { type ImportForm, importPath, sizeWords } from "./transfer";
import { TransferView } from "./transfers";

const text = t.transfers;
const PLANES = ["axial", "coronal", "sagittal"];

/** An archive on its way to the server. */
interface Sending {
  name: string;
  sent: number;
  size: number;
  stop: AbortController;
}

export function ImportPanel(props: { project: string | null; onDone: () => void }) {
  const file = useRef<HTMLInputElement>(null);
  const catalogue = useLoaded(() => data(api.GET("/catalogue")), "catalogue");
  const [form, setForm] = useState<ImportForm>({
    project: props.project ?? "",
    layout: "auto",
    channels: "",
    masks: "",
    plane: "",
    trustVoxels: false,
  });
  const [sending, setSending] = useState<Sending | null>(null);
  const [asked, setAsked] = useState<Transfer | null>(null);
  const [error, setError] = useState<string | null>(null);
  const change = (changed: Partial<ImportForm>) => setForm({ ...form, ...changed });
  const send = async (check: boolean) => {
    const archive = file.current?.files?.[0];
    if (!archive || sending) return;
    const stop = new AbortController();
    const { name, size } = archive;
    setAsked(null);
    setError(null);
    setSending({ name, size, sent: 0, stop });
    try {
      const path = importPath(form, name, check);
      const on = {
        sent: (sent: number) => setSending({ name, size, sent, stop }),
        signal: stop.signal,
      };
      setAsked(await upload<Transfer>(path, archive, "application/zip", on));
      props.onDone();
    } catch (failure) {
      if (!stop.signal.aborted) setError(uploadError(failure));
    } finally {
      setSending(null);
    }
  };
  const layouts = [{ name: "auto" }, ...(catalogue.value?.layouts ?? [])];
  return (
    <Panel title={text.import}>
      <p class="small">{text.importHint}</p>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          const by = event.submitter as HTMLButtonElement | null;
          void send(by?.value === "check");
        }}
      >
        <div class="fields">
          <label>
            <span class="small">{text.project}</span>
            <input
              name="project"
              required
              value={form.project}
              onInput={(event) => change({ project: event.currentTarget.value })}
            />
          </label>
          <label>
            <span class="small">{text.archive}</span>
            <input type="file" accept=".zip" required ref={file} onChange={() => setAsked(null)} />
          </label>
          <EntryField
            label={text.layout}
            hint={text.layoutHint}
            entries={layouts}
            value={form.layout}
            onChange={(layout) => change({ layout })}
          />
          <label>
            <span class="small">{text.masks}</span>
            <select
              value={form.masks}
              onChange={(event) => change({ masks: event.currentTarget.value })}
            >
              <option value="">{text.masksNone}</option>
              <option value="pool">{text.masksPool}</option>
              <option value="oracle">{text.masksOracle}</option>
            </select>
          </label>
          <label title={text.channelsHint}>
            <span class="small">{text.channels}</span>
            <input
              name="channels"
              placeholder={text.channelsExample}
              value={form.channels}
              onInput={(event) => change({ channels: event.currentTarget.value })}
            />
          </label>
          <label title={text.planeHint}>
            <span class="small">{text.plane}</span>
            <select
              value={form.plane}
              onChange={(event) => change({ plane: event.currentTarget.value })}
            >
              <option value="">{text.planeAcquired}</option>
              {PLANES.map((plane) => (
                <option key={plane} value={plane}>
                  {t.instruments.planes[plane]}
                </option>
              ))}
            </select>
          </label>
          <label class="choice" title={text.trustVoxelsHint}>
            <input
              type="checkbox"
              checked={form.trustVoxels}
              onChange={(event) => change({ trustVoxels: event.currentTarget.checked })}
            />
            {text.trustVoxels}
          </label>
        </div>
        <button type="submit" value="check" disabled={sending !== null}>
          {text.check}
        </button>{" "}
        <button type="submit" value="import" class="main" disabled={sending !== null}>
          {text.importSubmit}
        </button>
      </form>
      {sending && <SendingView sending={sending} />}
      {(error ?? catalogue.error) && <Failure error={(error ?? catalogue.error)!} />}
      {asked && (
        <>
          <TransferView key={asked.id} transfer={asked} onChange={props.onDone} />
          {asked.kind === "check" && <p class="small">{text.checkHint}</p>}
        </>
      )}
    </Panel>
  );
}

function SendingView(props: { sending: Sending }) {
  const { name, sent, size, stop } = props.sending;
  return (
    <>
      <progress aria-label={text.sending(name)} max={Math.max(size, 1)} value={sent} />
      <p role="status">
        {/* The last bytes are sent before the server has read them. */}
        {text.sending(name)} {sent < size ? text.sent(sizeWords(sent), sizeWords(size)) : ""}{" "}
        <button type="button" onClick={() => stop.abort()}>
          {t.cancel}
        </button>
      </p>
    </>
  );
}

/** Why an archive did not get there, and what to do. */
function uploadError(failure: unknown): string {
  return failure instanceof Unreachable ? text.uploadBroken : words(failure);
}
