// What gradio cannot do: tooltips, the line that says what a run will cost, and a table whose rows can be selected.
// Elements are found by their ids only: the rest of the page differs between hosts.
(() => {
    "use strict";

    const API = "prompt-pins/v1";
    const TABS = ["txt2img", "img2img"];
    const PLAN_DELAY = 600;

    const byId = (id) => gradioApp().querySelector(`#${id}`);
    const control = (tab, name) => byId(`script_${tab}_prompt_pinning_${name}`);

    function valueOf(element) {
        const input = element && element.querySelector("textarea, input, select");
        if (!input) return undefined;
        if (input.type === "radio") return element.querySelector("input:checked")?.value;
        if (input.type === "checkbox") return input.checked;
        if (input.type === "number") return input.value === "" ? undefined : Number(input.value);
        return input.value;
    }

    function numberOf(id) {
        const element = byId(id);
        const input = element && element.querySelector("input[type=number]");
        return input ? Number(input.value) : undefined;
    }

    async function addTooltips() {
        const answer = await fetch(`${API}/options`);
        if (!answer.ok) return [];
        const {options} = await answer.json();
        for (const tab of TABS) {
            for (const option of options) {
                const element = control(tab, option.name);
                if (element) element.title = option.help;
            }
        }
        return options;
    }

    // the line below the first group: what a run with these controls will be

    const planned = {txt2img: "", img2img: ""};

    function write(line, text) {
        if (line) (line.querySelector(".prose") || line).textContent = text;
    }

    async function plan(tab, options) {
        const line = control(tab, "plan");
        if (!line || line.offsetParent === null) return;
        const chosen = {};
        for (const option of options) {
            const value = valueOf(control(tab, option.name));
            if (option.kind !== "files" && value !== undefined) chosen[option.name] = value;
        }
        const question = JSON.stringify({
            prompt: valueOf(byId(`${tab}_prompt`)) || "",
            negative_prompt: valueOf(byId(`${tab}_neg_prompt`)) || "",
            sampler: valueOf(byId(`${tab}_sampling`)) || "",
            steps: numberOf(`${tab}_steps`),
            batch_size: numberOf(`${tab}_batch_size`),
            cfg_scale: numberOf(`${tab}_cfg_scale`),
            denoising_strength: tab === "img2img" ? numberOf("img2img_denoising_strength") : null,
            width: numberOf(`${tab}_width`),
            height: numberOf(`${tab}_height`),
            options: chosen,
        });
        if (question === planned[tab]) return;
        planned[tab] = question;
        const headers = {"Content-Type": "application/json"};
        const answer = await fetch(`${API}/plan`, {method: "POST", headers, body: question});
        const {words, tree, detail} = await answer.json();
        if (planned[tab] !== question) return; // a later question may be answered sooner
        write(line, answer.ok ? words : String(detail));
        write(control(tab, "tree"), tree || "");
        line.classList.toggle("prompt-pins-problem", !answer.ok);
    }

    function watchPlans(options) {
        setInterval(() => {
            if (document.visibilityState !== "visible") return;
            for (const tab of TABS) plan(tab, options).catch(() => { planned[tab] = ""; }); // and asks again
        }, PLAN_DELAY);
    }

    // the table of runs

    function select(row, more) {
        const table = row.closest("table");
        const keep = more ? [...table.querySelectorAll("tr[aria-selected=true]")].slice(0, 1) : [];
        for (const other of table.querySelectorAll("tr[data-run]")) other.setAttribute("aria-selected", "false");
        const chosen = [...keep.filter((other) => other !== row), row];
        for (const one of chosen) one.setAttribute("aria-selected", "true");
        const text = byId("prompt_pins_selected").querySelector("textarea, input");
        text.value = chosen.map((one) => one.dataset.run).join(" ");
        updateInput(text);
        // gradio takes a moment to hand the text over
        setTimeout(() => byId("prompt_pins_select").click(), 120);
    }

    function onTable(event) {
        const row = event.target.closest("#prompt_pins_runs tr[data-run]");
        if (!row) return;
        if (event.type === "keydown" && event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        select(row, event.ctrlKey || event.metaKey);
    }

    // who may see the page may see the runs: the routes know the page's visitors by this key
    function showKey() {
        const place = gradioApp().querySelector("#prompt_pins_key [data-key]");
        if (place) document.cookie = `prompt-pins-page=${place.dataset.key}; path=/; SameSite=Strict`;
    }

    // a report follows the page, until its own button was used

    function followTheme(event) {
        const frame = event.target;
        if (!frame.matches || !frame.matches("#prompt_pins_report iframe") || localStorage.getItem("pins-theme")) return;
        const report = frame.contentDocument;
        report.documentElement.dataset.theme = document.body.classList.contains("dark") ? "dark" : "light";
        report.dispatchEvent(new Event("theme"));
    }

    onUiLoaded(async () => {
        document.addEventListener("load", followTheme, true);
        showKey();
        gradioApp().addEventListener("click", onTable);
        gradioApp().addEventListener("keydown", onTable);
        watchPlans(await addTooltips());
    });

    onUiTabChange(() => {
        const tab = byId("tab_prompt_pins");
        if (tab && tab.style.display !== "none") byId("prompt_pins_refresh").click();
    });
})();
