// Sends the request of a form on a document's page as a program would, and shows the response.
"use strict";

async function send(form) {
  const body = form.elements.document;
  return fetch(form.action, {
    method: form.dataset.method,
    headers: {
      Accept: "application/json",
      "Content-Type": "application/json",
      "X-CSRFToken": form.elements.csrfmiddlewaretoken.value,
    },
    body: body ? body.value : undefined,
  });
}

for (const form of document.querySelectorAll("form[data-method]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (form.dataset.confirm && !window.confirm(form.dataset.confirm)) {
      return;
    }
    const output = form.querySelector("output");
    try {
      const response = await send(form);
      output.textContent = `${response.status} ${response.statusText}\n${await response.text()}`;
    } catch (error) {
      output.textContent = `No response: ${error.message}`;
    }
  });
}
