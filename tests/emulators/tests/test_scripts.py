from natter_emulators.script import Fault, Script, Scripts


def test_a_fault_strikes_so_often_and_then_no_more():
    scripts = Scripts()
    scripts.set("a", Script(Fault.BROKEN, times=2))
    assert [scripts.play("a").fault for _ in range(3)] == [Fault.BROKEN, Fault.BROKEN, Fault.NONE]
    scripts.set("a", Script(Fault.BROKEN, times=1))
    assert [scripts.play("a").fault for _ in range(2)] == [Fault.BROKEN, Fault.NONE]


def test_names_without_a_script_have_the_default():
    scripts = Scripts()
    scripts.set("a", Script(Fault.CUT))
    assert scripts.play("b").fault is scripts.play(None).fault is Fault.NONE
    scripts.default = Script(Fault.SLOW)
    assert scripts.play("b").late_ms == 1500
    assert scripts.play("a").late_ms == 0


def test_only_faults_in_mid_stream_strike_after_words():
    for fault in Fault:
        scripts = Scripts()
        scripts.set("a", Script(fault, after_words=2))
        part = scripts.play("a")
        assert not part.strikes(1)
        assert part.strikes(2) == (fault in {Fault.STALL, Fault.CUT, Fault.MALFORMED})
