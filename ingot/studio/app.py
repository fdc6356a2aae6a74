"""The page of the studio, as marimo runs it: what a person chooses, and where what follows from it is shown.

Each cell runs again when something that it reads has changed. What is shown comes from ingot/studio/views.py.
"""

# mypy: ignore-errors
import marimo

app = marimo.App(width="medium", app_title="Ingot: studio")


@app.cell
def setup():
    import marimo as mo

    from ingot.studio import records, views
    from ingot.studio.options import options

    given = options()

    def narrow(element):
        return element.style(max_width="9rem")

    return given, mo, narrow, records, views


@app.cell
def see_top(given, mo, views):
    mo.Html(views.show_top(given))
    return


@app.cell
def choose_tab(given, mo, views):
    names = [name for name in views.ABOUT if name != "Compare" or given.beside]
    tab = mo.ui.tabs({name: mo.Html(views.show_about(name)) for name in names})
    tab
    return (tab,)


@app.cell
def look_again(given, mo):
    tick = mo.ui.refresh(options=["2s", "10s"], default_interval="2s", label="refresh every")
    look = mo.ui.button(label="Read the build again now", on_click=lambda _: given.watch.again.set())
    get_names, set_names = mo.state(tuple(row.name for row in given.watch.seen.rows))
    return get_names, look, set_names, tick


@app.cell
def see_build(get_names, given, look, mo, set_names, tab, tick, views):
    _ = tick.value
    _names = tuple(row.name for row in given.watch.seen.rows)
    if _names != get_names():  # else the step that somebody has chosen would be forgotten
        set_names(_names)
    mo.vstack(
        [mo.Html(views.show_build(given.watch)), mo.hstack([look, tick], justify="start")]
    ) if tab.value == "Build" else None
    return


@app.cell
def choose_steps(mo, views):
    step_state = mo.ui.dropdown(views.STATES, label="Show steps that (-- is all)")
    step_text = mo.ui.text(placeholder="part of a name", label="called", debounce=300)
    step_page = mo.ui.number(start=1, stop=100_000, value=1, label="page")
    return step_page, step_state, step_text


@app.cell
def see_steps(given, mo, narrow, step_page, step_state, step_text, tab, tick, views):
    _ = tick.value
    _page = (step_state.value or "", step_text.value, step_page.value or 1)
    mo.vstack(
        [
            mo.hstack([step_state, step_text, narrow(step_page)], justify="start"),
            mo.Html(views.show_steps(given.watch.seen.rows, *_page)),
        ]
    ) if tab.value == "Build" else None
    return


@app.cell
def choose_log(get_names, mo):
    step = mo.ui.dropdown(sorted(get_names()), searchable=True, label="Log of")
    return (step,)


@app.cell
def see_log(given, mo, step, tab, tick, views):
    _ = tick.value
    mo.vstack([step, mo.Html(views.show_log(given, step.value or ""))]) if tab.value == "Build" else None
    return


@app.cell
def choose_records(given, mo, records, tab):
    _ = tab.value  # a build may have written others meanwhile
    _steps = records.steps(given.root)
    _first = "filtered.rejected" if "filtered.rejected" in _steps else None
    record_step = mo.ui.dropdown(_steps, value=_first, label="Records of")
    record_text = mo.ui.text(placeholder="part of its text", label="that hold", debounce=300)
    record_size = mo.ui.dropdown(["10", "15", "20"], value="10", label="on a page")
    record_page = mo.ui.number(start=1, stop=10_000_000, value=1, label="page")
    return record_page, record_size, record_step, record_text


@app.cell
def choose_group(given, mo, record_step, views):
    files, _groups = views.files_of(given, record_step.value)
    record_group = mo.ui.dropdown(_groups, label="of the kind (-- is all)")
    return files, record_group


@app.cell
def see_records(files, mo, narrow, record_group, record_page, record_size, record_step, record_text, tab, views):
    on_page, _shown = [], ""
    if tab.value == "Data":
        on_page, _shown = views.read_records(
            files, record_text.value, record_group.value or "", record_page.value or 1, int(record_size.value)
        )
    _choice = [record_step, record_group, record_text, record_size, narrow(record_page)]
    mo.vstack([mo.hstack(_choice, justify="start", wrap=True), mo.Html(_shown)]) if tab.value == "Data" else None
    return (on_page,)


@app.cell
def choose_appeals(given, mo, on_page, record_step):
    can_appeal = bool(on_page) and record_step.value == "filtered.rejected"
    appealed = mo.ui.multiselect(
        [one.id for one in on_page if one.id] if can_appeal else [], label="Let these pass, whatever the filters say"
    )
    appeal = mo.ui.run_button(label="Appeal", kind="success", disabled=not given.may_edit)
    return appeal, appealed, can_appeal


@app.cell
def see_appeals(appeal, appealed, can_appeal, given, mo, tab, views):
    _said = views.appeal(given, appealed.value if appeal.value else [])
    mo.vstack(
        [mo.hstack([appealed, appeal], justify="start"), mo.Html(_said)]
    ) if tab.value == "Data" and can_appeal else None
    return


@app.cell
def read_settings(given, tab, views):
    looked = views.Looked()
    known, _ = views.read_settings(given, looked) if tab.value == "Settings" else ([], "")
    return known, looked


@app.cell
def choose_setting(known, mo):
    setting = mo.ui.dropdown([one.key for one in known], searchable=True, label="Change a setting")
    return (setting,)


@app.cell
def choose_value(given, mo, setting, views):
    chosen = views.setting_now(given, setting.value)
    value = mo.ui.text_area(value=chosen.value if chosen else "", label="to, as YAML", rows=2, debounce=200)
    save = mo.ui.run_button(label="Save to config.yaml", kind="success")
    return chosen, save, value


@app.cell
def see_setting(chosen, given, looked, mo, save, setting, tab, value, views):
    judged = views.judge(given, looked, chosen, value.value, save.value)
    _edit = [value, save] if given.may_edit else []
    _about = [mo.Html(views.show_setting(given, chosen.key)), *_edit] if chosen else []
    mo.vstack([setting, *_about, mo.Html(judged)]) if tab.value == "Settings" else None
    return (judged,)


@app.cell
def choose_settings(mo):
    setting_text = mo.ui.text(placeholder="a word", label="Settings about", debounce=300)
    setting_page = mo.ui.number(start=1, stop=1000, value=1, label="page")
    return setting_page, setting_text


@app.cell
def see_settings(given, judged, mo, narrow, setting_page, setting_text, tab, views):
    _ = judged  # what was saved is shown
    _known, _broken = views.read_settings(given, views.Looked()) if tab.value == "Settings" else ([], "")
    _shown = _broken or views.show_settings(_known, setting_text.value, setting_page.value or 1)
    mo.vstack(
        [mo.hstack([setting_text, narrow(setting_page)], justify="start"), mo.Html(_shown)]
    ) if tab.value == "Settings" else None
    return


@app.cell
def see_results(given, mo, tab, views):
    mo.Html(views.show_results(given)) if tab.value == "Results" else None
    return


@app.cell
def choose_other(given, mo):
    other = mo.ui.dropdown(list(given.beside), value=next(iter(given.beside), None), label="Beside")
    return (other,)


@app.cell
def see_comparison(given, mo, other, tab, views):
    _shown = views.show_comparison(given, other.value) if tab.value == "Compare" and other.value else ""
    mo.vstack([other, mo.Html(_shown)]) if tab.value == "Compare" else None
    return


if __name__ == "__main__":
    app.run()
