
// The page at /: a picture in, and what the model makes of it.
{
  const $ = (id) => document.getElementById(id);
  $("scriptless").hidden = true;
  const TRIES = 4;
  const MOST_BYTES = Number($("try").dataset.mostBytes);

  // One entry for each picture: {file, url, name, prediction, explanation, problem, item}.
  const entries = [];
  let current = null;
  let working = false;

  // What came in

  function take(files) {
    const pictures = [...files];
    if (!pictures.length) return;
    for (const file of pictures) entries.push({ file, name: file.name, url: URL.createObjectURL(file) });
    while (entries.length > 24) forget(entries.shift());
    show(entries[entries.length - pictures.length] || entries[0]);
    work();
  }

  function forget(entry) {
    entry.gone = true;
    entry.request?.abort();
    entry.item?.remove();
    URL.revokeObjectURL(entry.url);
  }

  // One after the other, so that several pictures do not crowd out other people's.
  async function work() {
    if (working) return;
    working = true;
    let entry;
    while ((entry = entries.find((one) => !one.done))) {
      try {
        entry.prediction = (await ask("/v1/predict?top=5", entry)).predictions[0];
        if (entry === current) draw();
        addToStrip(entry);
        entry.explanation = await ask("/v1/explain", entry);
      } catch (error) {
        if (!entry.gone) entry.problem = error.message;
      }
      entry.done = true;
      if (entry === current) draw();
    }
    working = false;
  }

  async function ask(path, entry) {
    if (entry.file.size > MOST_BYTES) {
      throw new Error(`The file has ${megabytes(entry.file.size)}, and the server takes ${megabytes(MOST_BYTES)} at most.`);
    }
    for (let attempt = 1; ; attempt += 1) {
      entry.request = new AbortController();
      let response;
      try {
        response = await fetch(path, {
          method: "POST",
          headers: { "Content-Type": entry.file.type.startsWith("image/") ? entry.file.type : "application/octet-stream" },
          body: entry.file,
          signal: entry.request.signal,
        });
      } catch {
        throw new Error("The server cannot be reached. Is it still running?");
      }
      const answer = await response.json().catch(() => ({}));
      if (response.ok) return answer;
      const busy = response.status === 429 || response.status === 503;
      if (!busy || attempt === TRIES) throw new Error(sentence(answer.detail || `The server answered ${response.status}.`));
      await new Promise((resolve) => setTimeout(resolve, 1000 * Number(response.headers.get("Retry-After") || 1)));
    }
  }

  // What is shown

  function show(entry) {
    current = entry;
    draw();
  }

  function draw() {
    const entry = current;
    $("prompt").hidden = entry !== null;
    $("shown").hidden = entry === null;
    $("reset").hidden = entry === null;
    $("drop").classList.toggle("filled", entry !== null);
    $("choose").textContent = entry ? "Choose another" : "Choose a picture";
    $("problem").textContent = entry?.problem || "";
    $("shown").classList.toggle("busy", entry !== null && !entry.done);
    for (const item of document.querySelectorAll(".classes li")) {
      item.classList.toggle("best", item.textContent === entry?.prediction?.class);
    }
    for (const one of entries) {
      const button = one.item?.firstChild;
      if (one === entry) button?.setAttribute("aria-current", "true");
      else button?.removeAttribute("aria-current");
    }
    if (entry === null) {
      $("picture").removeAttribute("src");
      $("picture").alt = "";
    } else if ($("picture").getAttribute("src") !== entry.url) {
      $("picture").src = entry.url;
      $("picture").alt = entry.name ? `Your picture, ${entry.name}` : "Your picture";
    }
    drawPrediction(entry);
    drawMap(entry);
  }

  function drawPrediction(entry) {
    const prediction = entry?.prediction;
    $("result").hidden = !prediction;
    $("empty").hidden = Boolean(prediction || entry?.problem);
    $("status").classList.toggle("spoken", Boolean(prediction));
    $("name").textContent = entry?.name || "";
    if (!prediction) {
      say(entry === null ? "" : entry.problem ? "" : "Looking at it …");
      return;
    }
    const small = document.createElement("small");
    small.textContent = percent(prediction.probability);
    $("headline").replaceChildren(prediction.class, " ", small);
    $("bars").replaceChildren(...prediction.top.map((one) => {
      const [item, name, value, bar] = ["li", "span", "span", "span"].map((kind) => document.createElement(kind));
      name.textContent = one.class;
      value.textContent = percent(one.probability);
      bar.className = "bar";
      bar.style.setProperty("--share", one.probability);
      item.append(name, value, bar);
      return item;
    }));
    say(`${entry.name ? `${entry.name}: ` : ""}${prediction.class}, ${percent(prediction.probability)}.`);
  }

  function drawMap(entry) {
    const explanation = entry?.explanation;
    $("look").hidden = !explanation;
    $("map").hidden = !explanation || !$("toggle").checked;
    $("legend").hidden = !$("toggle").checked;
    if (!explanation) return;
    const drops = explanation.drops;
    const most = Math.max(...drops.flat());
    const canvas = $("map");
    [canvas.width, canvas.height] = [drops[0].length, drops.length];
    const context = canvas.getContext("2d");
    const image = context.createImageData(canvas.width, canvas.height);
    // Below one point there is nothing to see, and noise is not blown up to look like something.
    drops.flat().forEach((drop, index) => image.data.set(shade(Math.max(0, drop) / Math.max(most, 0.01)), 4 * index));
    context.putImageData(image, 0, 0);
    $("most").textContent = most >= 0.01 ? `−${Math.round(100 * most)} points` : "less than 1 point";
    canvas.setAttribute("aria-label", most >= 0.01
      ? `Map of where the model looked: most of all ${whereabouts(drops)}.`
      : "Map of where the model looked: no single place matters.");
  }

  // Yellow to vermilion (Okabe and Ito), more opaque the more it matters.
  function shade(share) {
    const [from, to] = [[240, 228, 66], [213, 94, 0]];
    const mix = Math.max(0, 2 * share - 1);
    const opacity = share < 0.5 ? share : 0.5 + 0.35 * mix;
    return [...from.map((value, channel) => value + mix * (to[channel] - value)), 255 * opacity];
  }

  function whereabouts(drops) {
    // The middle of the cells that matter nearly as much as the one that matters most.
    const most = Math.max(...drops.flat());
    const cells = drops.flatMap((values, row) => values.map((value, column) => ({ value, row, column })));
    const best = cells.filter((cell) => cell.value >= 0.9 * most);
    const mean = (key) => best.reduce((sum, cell) => sum + cell[key] + 0.5, 0) / best.length;
    const [row, column] = [mean("row") / drops.length, mean("column") / drops[0].length];
    const third = (share) => Math.min(2, Math.floor(3 * share));
    const words = [["at the top", "in the middle", "at the bottom"][third(row)], ["on the left", "", "on the right"][third(column)]];
    return words.filter(Boolean).join(" ");
  }

  function addToStrip(entry) {
    if (entry.gone || entry.item) return;
    entry.item = document.createElement("li");
    const [button, image] = [document.createElement("button"), document.createElement("img")];
    button.type = "button";
    image.src = entry.url;
    image.alt = `${entry.name || "picture"}: ${entry.prediction.class}`;
    button.append(image);
    button.addEventListener("click", () => show(entry));
    if (entry === current) button.setAttribute("aria-current", "true");
    entry.item.append(button);
    $("strip").append(entry.item);
    $("others").hidden = $("strip").children.length < 2;
  }

  function say(text) {
    const idle = "Pictures go to this server only, and are not kept.";
    const words = text || (current === null ? idle : "");
    if ($("status").textContent !== words) $("status").textContent = words;
  }

  const percent = (share) => (share < 0.001 ? "< 0.1%" : `${(100 * share).toFixed(1)}%`);
  const megabytes = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`.replace(/\.\.$/, ".");

  // Ways in

  for (const input of [$("file"), $("camera")]) {
    input.addEventListener("change", () => {
      take(input.files);
      input.value = ""; // the same picture may be chosen again
    });
  }
  $("choose").addEventListener("click", () => $("file").click());
  $("toggle").addEventListener("change", () => drawMap(current));
  $("reset").addEventListener("click", () => {
    entries.splice(0).forEach(forget);
    $("others").hidden = true;
    show(null);
    $("choose").focus();
  });
  document.addEventListener("paste", (event) => {
    if (event.clipboardData?.files.length) take(event.clipboardData.files);
  });
  for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault(); // or the browser would leave the page for the picture
      $("drop").classList.toggle("over", kind === "dragenter" || kind === "dragover");
      if (kind === "drop") take(event.dataTransfer.files);
    });
  }

  // A phone has a camera app; elsewhere the browser may have a camera for the page.
  const phone = matchMedia("(pointer: coarse)").matches;
  $("photograph").hidden = !phone && !navigator.mediaDevices;
  $("photograph").addEventListener("click", () => (phone ? $("camera").click() : openViewfinder()));

  async function openViewfinder() {
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    } catch {
      $("problem").textContent = "There is no camera here, or the browser may not use it.";
      return;
    }
    $("problem").textContent = "";
    $("video").srcObject = stream;
    $("viewfinder").addEventListener("close", () => stream.getTracks().forEach((track) => track.stop()), { once: true });
    $("viewfinder").showModal();
    await $("video").play();
  }
  $("cancel").addEventListener("click", () => $("viewfinder").close());
  $("shoot").addEventListener("click", () => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [$("video").videoWidth, $("video").videoHeight];
    canvas.getContext("2d").drawImage($("video"), 0, 0);
    canvas.toBlob((blob) => blob && take([new File([blob], "photo.jpg", { type: "image/jpeg" })]), "image/jpeg", 0.92);
    $("viewfinder").close();
  });
}
