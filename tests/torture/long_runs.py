def run_all(attack):
    pass
