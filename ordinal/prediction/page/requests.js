// Requests to the server, which are repeated while it is busy.

const TRIES = 5;

// Send an object as JSON, and return the answer. Call `onWait` with the seconds of each waiting time.
export async function post(path, body, onWait) {
  for (let tries = 1; ; tries++) {
    const response = await send(path, body);
    const answer = await response.json().catch(() => ({}));
    if (response.ok) return answer;
    if (response.status !== 503 || tries === TRIES) throw new Error(sentence(response, answer));
    const seconds = waitingTime(response);
    onWait(seconds);
    await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
  }
}

function send(path, body) {
  return fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  }).catch(() => {
    throw new Error("The server does not answer. Check that it is still running.");
  });
}

function waitingTime(response) {
  const header = response.headers.get("Retry-After");
  return /^\d+$/.test(header) ? Number(header) : 1;
}

function sentence({ status }, { detail }) {
  if (typeof detail !== "string") return `The server failed with the status ${status}.`;
  return `${detail[0].toUpperCase()}${detail.slice(1)}.`;
}
