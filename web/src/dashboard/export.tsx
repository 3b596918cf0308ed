/** Masks and images out: which of them, in which format, then a link to what was written. */

import { useState } from "preact/hooks";
import { api, ask, data, type Transfer } from "../api/client";
import { t } from "../texts";
import { Failure, Panel, useLoaded, words } from "../ui";
import { EntryField } from "./choice";
import { type ExportForm, exportPath } from "./transfer";
import { TransferView } from "./transfers";

const text = t.transfers;

export function ExportPanel(props: { project: string; onDone: () => void }) {
  const catalogue = useLoaded(() => data(api.GET("/catalogue")), "catalogue");
  const [form, setForm] = useState<ExportForm>({
    format: "decathlon",
    masks: "",
    reader: "",
    round: "",
    licence: "",
  });
  const [asked, setAsked] = useState<Transfer | null>(null);
  const [error, setError] = useState<string | null>(null);
  const change = (changed: Partial<ExportForm>) => setForm({ ...form, ...changed });
  const send = async () => {
    try {
      setAsked(await ask<Transfer>("POST", exportPath(props.project, form)));
      setError(null);
      props.onDone();
    } catch (failure) {
      setAsked(null);
      setError(words(failure));
    }
  };
  return (
    <Panel title={text.export}>
      <p class="small">{text.exportHint}</p>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void send();
        }}
      >
        <div class="fields">
          <EntryField
            label={text.format}
            entries={catalogue.value?.writers ?? []}
            value={form.format}
            onChange={(format) => change({ format })}
          />
          <label>
            <span class="small">{text.which}</span>
            <select
              value={form.masks}
              onChange={(event) => change({ masks: event.currentTarget.value })}
            >
              <option value="">{text.whichLabels}</option>
              <option value="accepted">{text.whichAccepted}</option>
              <option value="all">{text.whichAll}</option>
            </select>
          </label>
          <label title={text.readerHint}>
            <span class="small">{text.reader}</span>
            <input
              name="reader"
              value={form.reader}
              onInput={(event) => change({ reader: event.currentTarget.value })}
            />
          </label>
          <label title={text.roundHint}>
            <span class="small">{text.round}</span>
            <input
              name="round"
              type="number"
              min="0"
              value={form.round}
              onInput={(event) => change({ round: event.currentTarget.value })}
            />
          </label>
          <label title={text.licenceHint}>
            <span class="small">{text.licence}</span>
            <input
              name="licence"
              value={form.licence}
              placeholder={text.licenceExample}
              onInput={(event) => change({ licence: event.currentTarget.value })}
            />
          </label>
        </div>
        <button type="submit" class="main">
          {text.exportSubmit}
        </button>
      </form>
      {(error ?? catalogue.error) && <Failure error={(error ?? catalogue.error)!} />}
      {asked && <TransferView key={asked.id} transfer={asked} onChange={props.onDone} />}
    </Panel>
  );
}
