/** Imports, checks and exports: those that run live, and what came of the past ones. */

import { useEffect, useState } from "preact/hooks";
import { api, data, type Transfer } from "../api/client";
import { t } from "../texts";
import { Failure, Panel, useLoaded, useRepeat, words } from "../ui";
import { ReportView } from "./report";
import {
  hasArchive,
  isActive,
  progressWords,
  type Report,
  reportOf,
  resultWords,
  shareDone,
} from "./transfer";

const text = t.transfers;
/** Reports may be long: what runs tells of itself, the list need not be asked often. */
const REFRESH_SECONDS = 15;
/** How many more are listed at a time, and at most. */
const LISTED = 20;
const MOST_LISTED = 200;

/** A transfer as its events tell of it, until it has ended; null while there is none. */
export function useTransfer(given: Transfer | null, onEnd: () => void): Transfer | null {
  const [seen, setSeen] = useState(given);
  const id = given?.id;
  useEffect(() => {
    setSeen(given);
    if (!given || !isActive(given)) return;
    const source = new EventSource(`/transfers/${given.id}/events`);
    source.addEventListener("transfer", (event) => {
      const now = JSON.parse((event as MessageEvent).data) as Transfer;
      setSeen(now);
      if (isActive(now)) return;
      source.close();
      onEnd();
    });
    return () => source.close();
  }, [id]);
  // What has ended does not go on, whatever was heard of it before.
  return seen?.id === id && given && isActive(given) ? seen : given;
}

/** One transfer: how far it is, or what came of it. */
export function TransferView(props: { transfer: Transfer; onChange: () => void }) {
  const { onChange } = props;
  const transfer = useTransfer(props.transfer, onChange)!;
  const [error, setError] = useState<string | null>(null);
  const { id, kind, state } = transfer;
  const cancel = async () => {
    try {
      const params = { path: { transfer_id: id } };
      await data(api.POST("/transfers/{transfer_id}/cancel", { params }));
      setError(null);
      onChange();
    } catch (failure) {
      setError(words(failure));
    }
  };
  const share = shareDone(transfer);
  const report = reportOf(transfer);
  return (
    <div class="transfer" data-transfer={id} data-state={state}>
      {isActive(transfer) ? (
        <>
          <progress
            aria-label={text.kinds[kind]}
            {...(share === null ? {} : { max: 1, value: share })}
          />
          <p role="status">
            {progressWords(transfer)}{" "}
            <button
              type="button"
              disabled={transfer.cancel_requested}
              onClick={() => void cancel()}
            >
              {transfer.cancel_requested ? text.cancelling : t.cancel}
            </button>
          </p>
        </>
      ) : (
        <p role="status">
          {transfer.report ? resultWords(transfer) : text.states[state]}{" "}
          {hasArchive(transfer, Date.now()) && (
            <>
              <a href={`/transfers/${id}/archive`} download>
                {text.download}
              </a>{" "}
              <span class="small">{text.downloadHint}</span>
            </>
          )}
        </p>
      )}
      {state === "cancelled" && <p class="small">{text.cancelledHint[kind]}</p>}
      {transfer.error && <Failure error={transfer.error} />}
      {error && <Failure error={error} />}
      {report && <ReportView report={report} />}
    </div>
  );
}

/** All of a project's transfers, newest first; also those of the command line. */
export function TransfersPanel(props: { project: string; version: number; onChange: () => void }) {
  const { project } = props;
  const [limit, setLimit] = useState(LISTED);
  const transfers = useLoaded(
    () =>
      data(
        api.GET("/projects/{name}/transfers", {
          params: { path: { name: project }, query: { limit } },
        }),
      ),
    project,
  );
  useEffect(() => void transfers.reload(), [props.version, limit, transfers.reload]);
  useRepeat(() => void transfers.reload(), REFRESH_SECONDS);
  const found = transfers.value?.items ?? [];
  return (
    <Panel title={text.title} wide>
      {transfers.error && <Failure error={transfers.error} retry={() => void transfers.reload()} />}
      {transfers.value && found.length === 0 && <p>{text.none}</p>}
      {found.map((one) => (
        <Past
          key={one.id}
          transfer={one}
          onChange={() => {
            void transfers.reload();
            props.onChange();
          }}
        />
      ))}
      {typeof transfers.value?.next === "number" && limit < MOST_LISTED && (
        <button
          type="button"
          onClick={() => setLimit((before) => Math.min(before + LISTED, MOST_LISTED))}
        >
          {text.older}
        </button>
      )}
    </Panel>
  );
}

/** A line of the list; opened, it shows the whole report. */
function Past(props: { transfer: Transfer; onChange: () => void }) {
  const { transfer } = props;
  const [open, setOpen] = useState(false);
  const { refused, left_out: leftOut } = (transfer.report ?? {}) as Report;
  const out = Object.keys(refused ?? {}).length + Object.keys(leftOut ?? {}).length;
  return (
    <details class="past" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        {text.line(
          text.kinds[transfer.kind],
          transfer.layout,
          text.states[transfer.state] ?? transfer.state,
          new Date(transfer.created_at).toLocaleString(),
          transfer.created_by ?? text.commandLine,
        )}{" "}
        {transfer.report && !isActive(transfer) && (
          <span class="small">{resultWords(transfer)}</span>
        )}{" "}
        {out > 0 && <strong>{text.outCount(out)}</strong>}
      </summary>
      {open && <Whole transfer={transfer} onChange={props.onChange} />}
    </details>
  );
}

/** A transfer with its whole report, which lists do not hold. */
function Whole(props: { transfer: Transfer; onChange: () => void }) {
  const { id, state } = props.transfer;
  const whole = useLoaded(
    () => data(api.GET("/transfers/{transfer_id}", { params: { path: { transfer_id: id } } })),
    `${id}/${state}`,
  );
  if (whole.error) return <Failure error={whole.error} retry={() => void whole.reload()} />;
  if (!whole.value) return <p>{t.loading}</p>;
  return <TransferView transfer={whole.value} onChange={props.onChange} />;
}
