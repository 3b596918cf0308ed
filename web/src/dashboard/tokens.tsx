/** Who may come in: tokens, made and revoked. */

import { useState } from "preact/hooks";
import { all, api, data } from "../api/client";
import { t } from "../texts";
import { Failure, Panel, useLoaded, words } from "../ui";

const text = t.dashboard;

export function TokensPanel() {
  const tokens = useLoaded(
    () =>
      all((page) =>
        data(
          api.GET("/tokens", {
            params: { query: { ...page } },
          }),
        ),
      ),
    "tokens",
  );
  const [name, setName] = useState("");
  const [role, setRole] = useState<"annotator" | "reviewer" | "admin">("annotator");
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
      setMade(await data(api.POST("/tokens", { body: { name, role } })));
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
            <select
              value={role}
              onChange={(event) => setRole(event.currentTarget.value as typeof role)}
            >
              {Object.entries(text.roles).map(([one, label]) => (
                <option key={one} value={one}>
                  {label}
                </option>
              ))}
            </select>
          </label>
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
              <td>{text.roles[token.role]}</td>
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
