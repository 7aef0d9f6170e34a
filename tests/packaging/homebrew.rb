# frozen_string_literal: true

# SPDX-License-Identifier: MIT
# homebrew.rb FORMULA PREFIX FOLDER - in place of brew: the formula's install in this folder, then its
# test in FOLDER.
require 'pathname'
require 'fileutils'

# What a formula is made of, as far as ours needs it.
class Formula
  class << self
    attr_reader :last, :trial, :told

    def inherited(formula)
      super
      Formula.instance_variable_set(:@last, formula)
    end

    %i[desc homepage url sha256 license].each { |name| define_method(name) { |value| (@told ||= {})[name] = value } }
    def depends_on(what); end
    def test(&block) = @trial = block
  end

  attr_reader :prefix, :testpath

  def initialize(prefix, testpath)
    @prefix = Pathname(prefix)
    @testpath = testpath
  end

  def include = prefix / 'include'
  def lib = prefix / 'lib'
  def bin = prefix / 'bin'
  def version = self.class.told.fetch(:url)[/-([\d.]+)\.tar/, 1]
  def std_cmake_args = ["-DCMAKE_INSTALL_PREFIX=#{prefix}", '-DCMAKE_INSTALL_LIBDIR=lib', '-DCMAKE_BUILD_TYPE=Release']
  def system(*words) = Kernel.system(*words) || abort("FAILED: #{words}")
  def shell_output(command) = `#{command}`
  def assert_match(wanted, text) = text.include?(wanted) || abort("FAILED: no #{wanted} in #{text}")
end

def ENV.cc = 'cc'
# As brew has it for files.
class Pathname
  def write(text) = File.write(to_s, text)
end

formula, prefix, folder = ARGV
load formula
made = Formula.last.new(prefix, Pathname(folder))
made.install
Dir.chdir(folder)
ENV['LD_LIBRARY_PATH'] = made.lib.to_s # brew has it in the program
made.instance_eval(&Formula.last.trial)
puts 'tested'
