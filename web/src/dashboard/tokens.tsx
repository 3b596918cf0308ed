/** Who may come in: tokens, made and revoked. */

import { useState } from "preact/hooks";
import { all, api, data } from "../api/client";
import type { Role } from "../api/roles";
import { t } from "../texts";
import { Failure, Panel, useLoaded, words } from "../ui";
import { RoleOptions } from "./members";

const text = t.dashboard;

/** `everywhere`: an admin of the installation, who makes tokens of all projects too. */
export function TokensPanel(props: { project: string; everywhere: boolean }) {
  const [alone, setAlone] = useState(!props.everywhere);
  const listed = props.everywhere ? {} : { project: props.project };
  const tokens = useLoaded(
    () =>
      all((page) =>
        data(
          api.GET("/tokens", {
            params: { query: { ...page, ...listed } },
          }),
        ),
      ),
    `tokens/${props.project}`,
  );
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("annotator");
  const [made, setMade] = useState<{ name: string; token: string } | null>(null);
  const [error, setError] = useState<string | null>(null);
  const attempt = async (action: () => Promise<unknown>) => {
    try {
      await action();
      setError(null);
      await tokens.reload();
    } catch (failure) {
      setError(words(failure));
    }
  };
  const make = () =>
    attempt(async () => {
      const project = alone ? props.project : null;
      setMade(await data(api.POST("/tokens", { body: { name, role, project } })));
      setName("");
    });
  const revoke = (id: number) =>
    attempt(() => data(api.DELETE("/tokens/{token_id}", { params: { path: { token_id: id } } })));
  return (
    <Panel title={text.tokens}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void make();
        }}
      >
        <div class="fields">
          <label>
            <span class="small">{text.tokenName}</span>
            <input required value={name} onInput={(event) => setName(event.currentTarget.value)} />
          </label>
          <label>
            <span class="small">{text.tokenRole}</span>
            <select value={role} onChange={(event) => setRole(event.currentTarget.value as Role)}>
              <RoleOptions />
            </select>
          </label>
          {props.everywhere && (
            <label>
              <input
                type="checkbox"
                checked={alone}
                onChange={(event) => setAlone(event.currentTarget.checked)}
              />{" "}
              {text.tokenOfProject}
            </label>
          )}
        </div>
        <button type="submit">{text.tokenMake}</button>
      </form>
      {made && (
        <p role="status">
          {text.tokenMade(made.name)} <code class="token">{made.token}</code>
        </p>
      )}
      {(error || tokens.error) && <Failure error={(error ?? tokens.error)!} />}
      <table>
        <tbody>
          {(tokens.value ?? []).map((token) => (
            <tr key={token.id}>
              <td>{token.id}</td>
              <th scope="row">{token.name}</th>
              <td>{token.role && text.roles[token.role]}</td>
              <td>{token.project}</td>
              <td>
                {token.revoked_at ? (
                  text.tokenRevoked
                ) : (
                  <button type="button" onClick={() => void revoke(token.id)}>
                    {text.tokenRevoke}
                  </button>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  );
}
