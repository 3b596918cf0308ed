/** The way in: with a token, with an account's password, or by a provider. */

import { useEffect, useState } from "preact/hooks";
import { api, data, type Session } from "./api/client";
import { providerAddress, providerName, refusalIn } from "./provider";
import { t } from "./texts";
import { Failure, words } from "./ui";

const WAY_KEY = "sfumato-way-in";

export function SignIn(props: { again: boolean; onSigned: (session: Session) => void }) {
  const [byPassword, setByPassword] = useState(localStorage.getItem(WAY_KEY) === "password");
  const [token, setToken] = useState("");
  const [account, setAccount] = useState("");
  const [password, setPassword] = useState("");
  const [provider, setProvider] = useState<string | null>(null);
  const [error, setError] = useState(refusalIn(location.hash));
  useEffect(() => {
    // Said once: a page that is loaded again says nothing of it.
    if (refusalIn(location.hash)) history.replaceState(null, "", location.pathname);
    void providerName().then(setProvider);
  }, []);
  const leave = async () => {
    try {
      location.assign(await providerAddress());
    } catch (failure) {
      setError(words(failure));
    }
  };
  const submit = async () => {
    const body = byPassword ? { account: account.trim(), password } : { token: token.trim() };
    try {
      props.onSigned(await data(api.POST("/session", { body })));
    } catch (failure) {
      setError(words(failure));
    }
  };
  const change = () => {
    localStorage.setItem(WAY_KEY, byPassword ? "token" : "password");
    setByPassword(!byPassword);
    setError(null);
  };
  const hint = byPassword ? t.signIn.passwordHint : t.signIn.hint;
  return (
    <div class={props.again ? "sign-in over" : "sign-in"}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <h1>{props.again ? t.signIn.title : t.product}</h1>
        <p>{props.again ? t.signIn.over : hint}</p>
        {byPassword ? (
          <>
            <label>
              {t.signIn.account}
              <input
                name="account"
                autocomplete="username"
                required
                value={account}
                onInput={(event) => setAccount(event.currentTarget.value)}
              />
            </label>
            <label>
              {t.signIn.password}
              <input
                type="password"
                name="password"
                autocomplete="current-password"
                required
                value={password}
                onInput={(event) => setPassword(event.currentTarget.value)}
              />
            </label>
          </>
        ) : (
          <label>
            {t.signIn.token}
            <input
              type="password"
              name="token"
              autocomplete="current-password"
              required
              value={token}
              onInput={(event) => setToken(event.currentTarget.value)}
            />
          </label>
        )}
        {error && <Failure error={error} />}
        <button type="submit" class="main">
          {t.signIn.submit}
        </button>
        {provider && (
          <button type="button" onClick={() => void leave()}>
            {t.signIn.withProvider(provider)}
          </button>
        )}
        <button type="button" class="quiet" onClick={change}>
          {byPassword ? t.signIn.withToken : t.signIn.withPassword}
        </button>
      </form>
    </div>
  );
}
